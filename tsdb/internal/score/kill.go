package score

import (
	"fmt"
	"net/url"
	"sync"

	"quantrac/tsdb/internal/score/answer"
	"quantrac/tsdb/internal/score/inside"
	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/store"
)

// figLost is how many acknowledged values a kill costs.
const figLost = "kill -9 while loading: acknowledged values lost"

// killedBatches is about how many posts there are to be killed between.
const killedBatches = 400

// kill kills a store while it is being loaded, starts it again, and looks for
// every value that was acknowledged.
func (b *Bench) kill() error {
	n := b.Scale.lasting(b.Scale.Killed)
	f, err := b.write(n.Batches(max(n.Stations*n.Steps/killedBatches, 1)))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, k := range b.among(store.Victoria) {
		b.with(k, "kill", func(s *store.Server) error {
			acked, err := b.killed(s, f)
			if err != nil {
				return err
			}
			if _, err := s.Open(); err != nil {
				return err
			}
			lost, all, err := missing(s, n, f, acked)
			if err == nil {
				b.noteLost(k, lost, all)
			}
			return err
		})
	}
	return b.ctx.Err()
}

// noteLost takes down what a kill has cost; we may lose nothing.
func (b *Bench) noteLost(k *store.Kind, lost, all int) {
	b.Figures.Set(figLost, "values", k.Name, float64(lost))
	b.say("%s killed: %d of %d acknowledged values lost", k.Name, lost, all)
	if k == b.Ours {
		b.check(figLost, fmt.Sprintf("%d of %d", lost, all), "0", some(lost))
	}
}

func some(lost int) string {
	if lost == 0 {
		return ""
	}
	return fmt.Sprintf("%d lost", lost)
}

// killed loads a store over four connections and kills it when three quarters of
// the batches are acknowledged. It returns which were.
func (b *Bench) killed(s *store.Server, f *load.File) (map[int]bool, error) {
	acked := map[int]bool{}
	var mu sync.Mutex
	_, err := send(b.ctx, s, f, 4, func(batch int) {
		mu.Lock()
		defer mu.Unlock()
		if acked[batch] = true; len(acked) == f.Batches()*3/4 {
			s.Kill()
		}
	})
	if err == nil {
		return nil, fmt.Errorf("the kill came too late: all %d batches were taken", f.Batches())
	}
	return acked, b.ctx.Err()
}

// reading is one value by its metric and time.
type reading struct {
	metric string
	at     int64
}

// missing counts the acknowledged values that a store does not show.
func missing(s *store.Server, n load.Network, f *load.File, acked map[int]bool) (lost, all int, err error) {
	want, err := expected(f, acked)
	if err != nil {
		return 0, 0, err
	}
	for station, values := range want {
		have, err := stored(s, n, station)
		if err != nil {
			return 0, 0, err
		}
		all += len(values)
		for r, v := range values {
			if got, ok := have[r]; !ok || got != v {
				lost++
			}
		}
	}
	return lost, all, nil
}

// expected are the values of batches, by station.
func expected(f *load.File, acked map[int]bool) (map[string]map[reading]float64, error) {
	out := map[string]map[reading]float64{}
	var buf []byte
	for i := range acked {
		var err error
		if buf, _, err = f.Batch(i, buf); err != nil {
			return nil, err
		}
		for l, err := range load.Parse(buf) {
			if err != nil {
				return nil, err
			}
			st := l.Station()
			if out[st] == nil {
				out[st] = map[reading]float64{}
			}
			for _, v := range l.Fields {
				out[st][reading{v.Metric, l.Time.UnixMilli()}] = v.Value
			}
		}
	}
	return out, nil
}

// stored are all values that a store shows of a station.
func stored(s *store.Server, n load.Network, station string) (map[reading]float64, error) {
	out := map[reading]float64{}
	for _, metric := range load.Metrics() {
		expr := fmt.Sprintf("%s{station=%q}[%s]", metric, station, seconds(n.Until.Sub(n.Start())+n.Step))
		body, err := s.Ask(store.Question{Path: "/api/v1/query", Params: url.Values{"query": {expr}, "time": {stamp(n.Until)}}})
		if err != nil {
			return nil, err
		}
		a, err := answer.Parse(body)
		if err != nil {
			return nil, err
		}
		for _, points := range a {
			for _, p := range points {
				out[reading{metric, p.At}] = p.Value
			}
		}
	}
	return out, nil
}

// power lets the power fail under our store, in memory.
func (b *Bench) power() error {
	l, err := inside.Power(b.ctx, load.Province(20, 500), 5, 20)
	if err != nil {
		b.Figures.fail(b.Ours.Name, "power failures", err)
		return b.ctx.Err()
	}
	b.check("simulated power loss: acknowledged values lost", fmt.Sprintf("%d of %d, in %d failures", l.Lost, l.Acked, l.Failures), "0", some(l.Lost))
	return nil
}

// figOnTop is what belongs to a value beside itself and its time.
const figOnTop = "received delay, quality, layers, revisions, a commit a message: on top"

// messages weighs what belongs to readings.
func (b *Bench) messages() error {
	m, err := inside.Messages(b.ctx, load.Province(b.Scale.Messages, 0).Lasting(b.Scale.MessagesDays))
	if err != nil {
		b.Figures.fail(b.Ours.Name, "messages", err)
		return b.ctx.Err()
	}
	b.Figures.Set("values and times alone", "B/value", b.Ours.Name, float64(m.Plain.Total)/float64(m.Values))
	b.Figures.Set(figOnTop, "B/value", b.Ours.Name, m.OnTop())
	for _, p := range m.Parts() {
		b.Figures.Set("on top: "+p.Name, "B/value", b.Ours.Name, p.Each)
	}
	return nil
}

// figOpen is how long a store takes to open after a kill.
const figOpen = "open after kill -9"

// open loads a store, kills it, and opens it again.
func (b *Bench) open() error {
	f, err := b.file(b.Scale.lasting(b.Scale.Opened))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, k := range b.among(store.Victoria) {
		b.with(k, "open", func(s *store.Server) error {
			if _, err := b.feed(s, f, 4); err != nil {
				return err
			}
			s.Kill()
			took, err := s.Open()
			b.Figures.Set(figOpen, "s", k.Name, took.Seconds())
			b.opened = f.Values
			b.say("%s opened after kill -9 with %d values in %.2f s", k.Name, f.Values, took.Seconds())
			return err
		})
	}
	return b.ctx.Err()
}
