package score

import (
	"bytes"
	"context"
	"errors"
	"time"

	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/store"
)

const (
	lateLines = 20
	lateEvery = 200 * time.Millisecond
)

// areaLate is the question that is asked while late data arrive; its answer is
// compared once all have.
func areaLate(n load.Network) question {
	q := areaMaxima(n, lastWeek(n))
	q.name += " " + q.what + " after late data"
	return q
}

func lastWeek(n load.Network) time.Duration { return min(n.Until.Sub(n.Start()), 7*24*time.Hour) }

// whileLate asks for the maxima by area again and again while late readings
// arrive, and once more when all are there: every store then has the same.
func (b *Bench) whileLate(s *store.Server, n load.Network, answers map[string][]byte) error {
	q := areaMaxima(n, lastWeek(n))
	name := q.name + " " + q.what
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	// Who asks now and then meets a processor that has slept, and is answered later
	// than who asks without a pause: what late data cost is seen beside the same pace.
	written := make(chan error, 1)
	go func() { written <- rest(ctx, b.Scale.Late/4) }()
	t, err := b.askUntil(s, q.Question, written)
	if err != nil {
		return err
	}
	b.Figures.Set(figPaced(name), "ms", s.Name, ms(t.p50))
	paced := ms(t.p50)
	go func() { written <- writeLate(ctx, s, n, b.Scale.Late) }()
	if t, err = b.askUntil(s, q.Question, written); err != nil {
		return err
	}
	b.Figures.Set(figQueryUnderLate(name), "ms", s.Name, ms(t.p50))
	b.say("%s: %s ten times a second: %.2f ms, while late data arrive: %.2f ms", s.Name, name, paced, ms(t.p50))
	// A peer may answer from before for a while; we may not.
	q.Uncached = s.Name != store.Ours
	if err := s.Show(); err != nil {
		return err
	}
	body, err := s.Ask(q.Question)
	answers[areaLate(n).name] = bytes.Clone(body)
	return err
}

// askUntil asks a question at an even pace until the writer has ended.
func (b *Bench) askUntil(s *store.Server, q store.Question, written <-chan error) (t timing, err error) {
	var walls []time.Duration
	for {
		one := time.Now()
		if _, err := s.Ask(q); err != nil {
			return t, errors.Join(err, <-written)
		}
		walls = append(walls, time.Since(one))
		select {
		case err := <-written:
			t.p50 = median(walls)
			return t, err
		case <-time.After(lateEvery / 2):
		}
	}
}

// rest sends nothing, for as long as it takes to send so many batches.
func rest(ctx context.Context, batches int) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(batches) * lateEvery):
		return nil
	}
}

// writeLate sends late readings in small batches.
func writeLate(ctx context.Context, s *store.Server, n load.Network, batches int) error {
	w := s.Writer()
	defer w.Close()
	for i := range batches {
		if err := w.Write(ctx, n.Stragglers(i, lateLines, lastWeek(n))); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lateEvery):
		}
	}
	return nil
}
