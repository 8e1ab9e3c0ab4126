package score

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"quantrac/tsdb/internal/score/answer"
	"quantrac/tsdb/internal/score/store"
)

// timing is what a question takes.
type timing struct {
	p50   time.Duration
	cpu   time.Duration // of the store, on average
	bytes int
	body  []byte // the last answer
}

// longest bounds how long one question is asked again and again.
const longest = 20 * time.Second

// ask asks a question once to be ready for it and then n times, or for as long
// as is patient and at least three times.
func (b *Bench) ask(s *store.Server, q store.Question, n int) (t timing, err error) {
	if _, err = s.Ask(q); err != nil {
		return t, err
	}
	before, err := s.Usage()
	if err != nil {
		return t, err
	}
	var walls []time.Duration
	for start := time.Now(); len(walls) < n && (len(walls) < 3 || time.Since(start) < longest); {
		one := time.Now()
		if t.body, err = s.Ask(q); err != nil {
			return t, err
		}
		walls = append(walls, time.Since(one))
	}
	after, err := s.Usage()
	t.p50, t.bytes, t.body = median(walls), len(t.body), bytes.Clone(t.body)
	t.cpu = (after.CPU - before.CPU) / time.Duration(len(walls))
	return t, err
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quiz asks a store a question, with nothing cached and again, and keeps the
// answers: to the name of the question, and to the name with "again" after it.
func (b *Bench) quiz(s *store.Server, q question, answers map[string][]byte) error {
	q.Uncached = true
	cold, err := b.ask(s, q.Question, b.Scale.Queries)
	if err != nil {
		return err
	}
	q.Uncached = false
	warm, err := b.ask(s, q.Question, b.Scale.Queries)
	if err != nil {
		return err
	}
	name := q.name + " " + q.what
	b.Figures.Set(figQuery(name), "ms", s.Name, ms(cold.p50))
	b.Figures.Set(figQueryCPU(name), "ms", s.Name, ms(cold.cpu))
	b.Figures.Set(figWarm(name), "ms", s.Name, ms(warm.p50))
	answers[name], answers[name+again] = cold.body, warm.body
	b.say("%s: %s: %.2f ms, %.2f ms CPU, again %.2f ms, %d bytes", s.Name, name, ms(cold.p50), ms(cold.cpu), ms(warm.p50), cold.bytes)
	return nil
}

const again = ", again"

// agree compares our answer with a peer's and notes the outcome.
func (b *Bench) agree(what string, ours, peers []byte, peer string, tolerance float64) {
	name := what + ": the answer is that of " + peer
	wanted := "equal to the last digit"
	switch {
	case tolerance < 0:
		wanted = "the same series and times"
	case tolerance > 0:
		wanted = fmt.Sprintf("equal within %.0e of the series' largest value", tolerance)
	}
	if ours == nil || peers == nil {
		b.check(name, "", wanted, "no answer to compare")
		return
	}
	got, err := answer.Parse(ours)
	if err != nil {
		b.check(name, "", wanted, err.Error())
		return
	}
	want, err := answer.Parse(peers)
	if err != nil {
		b.check(name, "", wanted, err.Error())
		return
	}
	b.check(name, fmt.Sprintf("%d series, %d values", len(want), want.Values()), wanted, answer.Compare(got, want, tolerance))
}
