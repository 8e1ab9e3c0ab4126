package simnet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"quantrac"
)

// Message is one publication of a simulated device.
type Message struct {
	At      quantrac.Millis // when the device sends it
	Device  string
	Topic   string // v1/{device}/obs or v1/{device}/line
	Payload []byte
}

// Faults are how bad links and instruments are, as probabilities from 0 to 1.
type Faults struct {
	Missing   float64 // of a reading never to be sent
	Late      float64 // of an hour whose readings come in bulk after an outage
	Duplicate float64 // of a message to be sent twice
	Faulty    float64 // of a reading to be a fault code or a spike
}

// DefaultFaults are those of a network in the field.
var DefaultFaults = Faults{Missing: 0.02, Late: 0.03, Duplicate: 0.01, Faulty: 0.005}

// Feed makes the messages of a network.
type Feed struct {
	Stations []Station
	Seed     uint64
	Faults   Faults
}

// Span returns the messages that the network sends from (inclusive) to (not
// inclusive), in order of sending.
func (f *Feed) Span(from, to quantrac.Millis) []Message {
	var out []Message
	for i := range f.Stations {
		s := &f.Stations[i]
		// A held-back hour is sent up to a day late, a trap's night next morning.
		f.readings(s, from.Add(-26*time.Hour), to, func(valid quantrac.Millis, topic string, payload []byte) {
			n := uint64(valid / 1000)
			at := valid.Add(2*time.Second + time.Duration(1500*uniform(s.key, n*4+1))*time.Millisecond)
			if topic == "line" { // counted and sent in the morning after
				at = valid.Add(10*time.Hour + time.Duration(40*uniform(s.key, n*4+1))*time.Minute)
			} else if outage, back := f.outage(s, valid); outage {
				at = back.Add(time.Duration(20*uniform(s.key, n*4+2)) * time.Second)
			}
			if at < from || at >= to {
				return
			}
			m := Message{at, s.Device, "v1/" + s.Device + "/" + topic, payload}
			out = append(out, m)
			if uniform(s.key, n*4+3) < f.Faults.Duplicate {
				m.At = m.At.Add(3 * time.Second)
				out = append(out, m)
			}
		})
	}
	slices.SortStableFunc(out, func(a, b Message) int { return cmp.Compare(a.At, b.At) })
	return out
}

// outage says whether the station's link is down at t, and when it comes back.
func (f *Feed) outage(s *Station, t quantrac.Millis) (down bool, back quantrac.Millis) {
	const block = 3_600_000
	k := t / block
	if uniform(hash(s.key, 11), uint64(k)) >= f.Faults.Late {
		return false, 0
	}
	for uniform(hash(s.key, 11), uint64(k+1)) < f.Faults.Late { // two in a row make one
		k++
	}
	return true, (k + 1) * block
}

// readings calls yield with every reading whose valid time lies in the span.
func (f *Feed) readings(s *Station, from, to quantrac.Millis, yield func(valid quantrac.Millis, topic string, payload []byte)) {
	switch s.Family {
	case quantrac.FamilyGauge:
		f.every(from, to, gaugeInterval, func(t quantrac.Millis) {
			if vals := f.gauge(s, t); vals != nil {
				yield(t, "obs", row(t, vals))
			}
		})
	case quantrac.FamilyLightning:
		f.every(from, to, lightningInterval, func(t quantrac.Millis) {
			if !f.missing(s, t) {
				yield(t, "obs", row(t, []value{{State, lightningState(s, f.Seed, t)}, {Field, electricField(s, f.Seed, t)}}))
			}
		})
	case quantrac.FamilyInsect:
		f.every(from.Add(-24*time.Hour), to, trapInterval, func(t quantrac.Millis) {
			lamp := t.Add(12 * time.Hour) // 12:00 UTC is 19:00 here: the lamp is lit
			if lamp >= from && lamp < to && !f.missing(s, lamp) {
				yield(lamp, "line", f.night(s, lamp))
			}
		})
	}
}

func (f *Feed) every(from, to quantrac.Millis, interval time.Duration, do func(quantrac.Millis)) {
	step := quantrac.Millis(interval.Milliseconds())
	for t := (from + step - 1) / step * step; t < to; t += step {
		do(t)
	}
}

func (f *Feed) missing(s *Station, t quantrac.Millis) bool {
	return uniform(hash(s.key, 12), uint64(t/1000)) < f.Faults.Missing
}

type value struct {
	name string
	v    float64
}

func (f *Feed) gauge(s *Station, t quantrac.Millis) []value {
	if f.missing(s, t) {
		return nil
	}
	n := uint64(t / 1000)
	level := waterLevel(s, f.Seed, t) + 0.002*normal(s.key, n)
	if u := uniform(hash(s.key, 13), n); u < f.Faults.Faulty {
		level = [...]float64{-9999, 7999, level + 0.9}[int(3*u/f.Faults.Faulty)]
	}
	battery := 12.6 + 0.7*math.Max(0, math.Sin(2*math.Pi*(float64(t%day)/day-0.0))) + 0.02*normal(s.key, n+7)
	return []value{
		{WaterLevel, math.Round(level*1000) / 1000},
		{Rainfall, rainfall(s, f.Seed, t)},
		{Battery, math.Round(battery*100) / 100},
	}
}

// row writes one row of the JSON payload.
func row(t quantrac.Millis, vals []value) []byte {
	m := make(map[string]json.Number, len(vals))
	for _, v := range vals {
		m[v.name] = json.Number(number(v.v))
	}
	b, err := json.Marshal(map[string]any{"time": int64(t), quantrac.LabelSimulated: true, "values": m})
	if err != nil {
		panic("simnet: " + err.Error()) // numbers and strings always marshal
	}
	return b
}

func number(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}

// night writes a trap's night as line protocol, one line a species.
func (f *Feed) night(s *Station, lamp quantrac.Millis) []byte {
	var b strings.Builder
	n := int64(lamp) / day
	for sp := range species {
		fmt.Fprintf(&b, "insect,simulated=true,species=%s catch=%s %d000000\n", species[sp].name, number(catchOf(s, f.Seed, n, sp)), int64(lamp))
	}
	return []byte(b.String())
}

// baseTrap returns the plan's id of a trap station.
func baseTrap(id string) string {
	id = strings.TrimPrefix(id, "sim_trap_")
	for _, p := range traps {
		if id == p.id || strings.HasPrefix(id, p.id+"_") {
			return p.id
		}
	}
	return id
}

// bulkRows is how many rows a logger puts into one message when it sends what
// it has kept.
const bulkRows = 200

// Bulk puts the rows that each device sends one by one into messages of many,
// as loggers do with a backlog. A message goes out when its last row would have.
func Bulk(msgs []Message) []Message {
	var out []Message
	open := map[string]int{} // topic → index in out of the message that still takes rows
	rows := map[string]int{}
	for _, m := range msgs {
		if !strings.HasSuffix(m.Topic, "/obs") {
			out = append(out, m)
			continue
		}
		i, ok := open[m.Topic]
		if !ok || rows[m.Topic] == bulkRows {
			open[m.Topic], rows[m.Topic] = len(out), 1
			m.Payload = append([]byte{'['}, m.Payload...)
			out = append(out, m)
			continue
		}
		rows[m.Topic]++
		out[i].At = m.At
		out[i].Payload = append(append(out[i].Payload, ','), m.Payload...)
	}
	for i := range out {
		if strings.HasSuffix(out[i].Topic, "/obs") {
			out[i].Payload = append(out[i].Payload, ']')
		}
	}
	slices.SortStableFunc(out, func(a, b Message) int { return cmp.Compare(a.At, b.At) })
	return out
}
