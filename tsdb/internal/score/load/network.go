package load

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// Measurement is the name before every field: a field water_level_m is the
// metric obs_water_level_m.
const Measurement = "obs"

// Areas is how many values the label area has, the like of a district.
const Areas = 12

// Network is a load. Every station carries water level and, of the six other
// properties, one less than Fields; one line per station and time.
type Network struct {
	Stations int
	Fields   int // 1 to 7
	Steps    int // times at which a station reports
	Step     time.Duration
	Until    time.Time // the step after the last: a query there sees all there is
	Seed     uint64

	Missing float64 // share of lines that never come
	Jitter  float64 // share whose time is 1 to 3 s late
	Late    float64 // share that arrives 1 h to 5 d after its time
}

// Province is the load of the published figures: five properties every ten
// minutes, 2 % missing, 1 % with jitter, 3.5 % late. However long it is, it ends
// at one time, so that none of it lies in the future, which stores refuse.
func Province(stations, steps int) Network {
	return Network{
		Stations: stations, Fields: 5, Steps: steps, Step: 10 * time.Minute,
		Until: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Seed: 2026,
		Missing: 0.02, Jitter: 0.01, Late: 0.035,
	}
}

// Decade is water levels of a few stations over many years.
func Decade(stations int, years float64) Network {
	n := Province(stations, int(years*365.25*144))
	n.Fields = 1
	return n
}

// Singles is series that share no row: a value each per minute, all on time.
func Singles(series, minutes int) Network {
	n := Province(series, minutes)
	n.Fields, n.Step, n.Missing, n.Jitter, n.Late = 1, time.Minute, 0, 0, 0
	return n
}

// Start is the time of the first step.
func (n Network) Start() time.Time { return n.Until.Add(-time.Duration(n.Steps) * n.Step) }

// Series is how many series the network has.
func (n Network) Series() int { return n.Stations * n.Fields }

// Lasting returns the load with as many steps as its days have.
func (n Network) Lasting(days float64) Network {
	n.Steps = int(days * 24 * float64(time.Hour) / float64(n.Step))
	return n
}

// Batch is lines that are posted together.
type Batch struct {
	Lines  []byte // valid until the next batch
	Count  int    // of lines
	Values int
}

func (b *Batch) add(o Batch) {
	b.Lines = append(b.Lines, o.Lines...)
	b.Count += o.Count
	b.Values += o.Values
}

// Batches streams the load in the order of arrival, so many lines in a batch.
func (n Network) Batches(lines int) iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		var b Batch
		for line := range n.lines() {
			if b.add(line); b.Count == lines {
				if !yield(b) {
					return
				}
				b = Batch{Lines: b.Lines[:0]}
			}
		}
		if b.Count > 0 {
			yield(b)
		}
	}
}

// lines streams single lines, or several that arrive together.
func (n Network) lines() iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		g := newGenerator(n)
		for step := range n.Steps {
			if !g.arrived(step, yield) || !g.step(step, yield) {
				return
			}
		}
		g.arrived(n.Steps, yield)
	}
}

// generator is a network at work.
type generator struct {
	Network
	rnd      *rand.Rand
	stations []station
	late     [][]string // by the step before which they arrive
	line     []byte
}

type station struct {
	tags    string
	sensors []sensor
}

func newGenerator(n Network) *generator {
	g := &generator{
		Network: n, rnd: rand.New(rand.NewPCG(n.Seed, 7)), late: make([][]string, n.Steps+1),
		stations: make([]station, n.Stations),
	}
	for i := range g.stations {
		s := &g.stations[i]
		s.tags = tags(i)
		for _, p := range g.equipment() {
			s.sensors = append(s.sensors, g.newSensor(p))
		}
	}
	return g
}

// tags are the measurement and labels of station i.
func tags(i int) string {
	return fmt.Sprintf("%s,station=%s,area=area_%02d,basin=river_%d", Measurement, Station(i), i%Areas, i%5)
}

// Station is the name of station i.
func Station(i int) string { return fmt.Sprintf("s%06d", i) }

// equipment picks what a station measures: water level, and others as they are
// listed.
func (g *generator) equipment() []int {
	others := g.rnd.Perm(len(properties) - 1)[:g.Fields-1]
	slices.Sort(others)
	out := []int{0}
	for _, p := range others {
		out = append(out, p+1)
	}
	return out
}

// arrived yields the late lines that have come by a step.
func (g *generator) arrived(step int, yield func(Batch) bool) bool {
	for _, text := range g.late[step] {
		if !yield(Batch{Lines: []byte(text), Count: 1, Values: g.Fields}) {
			return false
		}
	}
	g.late[step] = nil
	return true
}

// step lets every station read once.
func (g *generator) step(step int, yield func(Batch) bool) bool {
	at := g.Start().Add(time.Duration(step) * g.Step)
	for i := range g.stations {
		g.write(&g.stations[i], at)
		switch {
		case g.rnd.Float64() < g.Missing:
		case g.rnd.Float64() < g.Late:
			to := min(step+g.delay(), g.Steps)
			g.late[to] = append(g.late[to], string(g.line))
		case !yield(Batch{Lines: g.line, Count: 1, Values: g.Fields}):
			return false
		}
	}
	return true
}

// delay is how many steps late a late line comes, at least one.
func (g *generator) delay() int {
	d := time.Hour + time.Duration(g.rnd.Int64N(int64(5*24*time.Hour-time.Hour)))
	return max(int(d/g.Step), 1)
}

// write reads the station's sensors into a line.
func (g *generator) write(s *station, at time.Time) {
	hours := at.Sub(g.Start()).Hours()
	b := append(g.line[:0], s.tags...)
	for i := range s.sensors {
		sn := &s.sensors[i]
		p := &properties[sn.property]
		b = append(append(append(b, " ,"[min(i, 1)]), p.field...), '=')
		b = strconv.AppendFloat(b, g.read(sn, hours), 'f', p.decimals, 64)
	}
	if g.rnd.Float64() < g.Jitter {
		at = at.Add(time.Duration(1+g.rnd.IntN(3)) * time.Second)
	}
	b = strconv.AppendInt(append(b, ' '), at.UnixNano(), 10)
	g.line = append(b, '\n')
}
