package score

import (
	"fmt"
	"time"

	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/store"
)

// theNetwork is the name of the main load in figures.
const theNetwork = "network"

// network is the published comparison: the load over four connections and over
// one, its bytes, and the questions.
func (b *Bench) network() error {
	n := b.Scale.network()
	f, err := b.file(n)
	if err != nil {
		return err
	}
	defer f.Close()
	answers := map[string]map[string][]byte{}
	for _, k := range b.among(store.Victoria, store.VictoriaLean, store.InfluxName) {
		answers[k.Name] = map[string][]byte{}
		b.take(k, theNetwork, f, func(s *store.Server) error {
			if k.Name == store.InfluxName {
				return nil
			}
			return b.examine(s, n, answers[k.Name])
		})
	}
	b.compareAnswers(n, answers)
	for _, k := range b.among(store.Victoria) {
		b.alone(k, f)
	}
	return b.ctx.Err()
}

// examine asks all questions, and the one about areas while late data arrive.
func (b *Bench) examine(s *store.Server, n load.Network, answers map[string][]byte) error {
	for _, q := range questions(n) {
		if err := b.quiz(s, q, answers); err != nil {
			b.Figures.fail(s.Name, q.name, err)
		}
	}
	if s.Name == store.VictoriaLean {
		return nil
	}
	if err := b.first(s, n); err != nil {
		return err
	}
	return b.whileLate(s, n, answers)
}

// restarts is how often a store is started anew for a question that it has not
// met.
const restarts = 5

// first asks for the maxima by area as the first thing after a start, so that
// nothing of an answer is kept, whatever the store calls a cache.
func (b *Bench) first(s *store.Server, n load.Network) error {
	q := areaMaxima(n, lastWeek(n))
	q.Uncached = true
	var walls []time.Duration
	for range restarts {
		if err := s.Stop(); err != nil {
			return err
		}
		if _, err := s.Open(); err != nil {
			return err
		}
		start := time.Now()
		if _, err := s.Ask(q.Question); err != nil {
			return err
		}
		walls = append(walls, time.Since(start))
	}
	name := q.name + " " + q.what
	b.Figures.Set(figFirst(name), "ms", s.Name, ms(median(walls)))
	return nil
}

// compareAnswers sets our answers against VictoriaMetrics', and what we said
// again against what we said first.
func (b *Bench) compareAnswers(n load.Network, answers map[string]map[string][]byte) {
	ours, peer := answers[b.Ours.Name], answers[store.Victoria]
	for _, q := range questions(n) {
		name := q.name + " " + q.what
		b.agree(name, ours[name], peer[name], store.Victoria, q.tolerance)
		b.agree(name+again, ours[name+again], ours[name], "the first time", 0)
	}
	late := areaLate(n)
	b.agree(late.name, ours[late.name], peer[late.name], store.Victoria, late.tolerance)
}

// alone feeds a store over one connection, where every acknowledgement of ours
// must have cost a sync of its own.
func (b *Bench) alone(k *store.Kind, f *load.File) {
	b.with(k, "one connection", func(s *store.Server) error {
		before, err := syncs(s)
		if err != nil {
			return err
		}
		r, err := b.feed(s, f, 1)
		if err != nil {
			return err
		}
		b.note(s, theNetwork, 1, r)
		after, err := syncs(s)
		if err == nil && k == b.Ours {
			b.checkSyncs(int(after-before), f.Batches())
		}
		return err
	})
}

// syncs is how often our journal has written and synced; 0 for peers.
func syncs(s *store.Server) (float64, error) {
	if s.Name != store.Ours {
		return 0, nil
	}
	return s.Metric("quantrac_journal_syncs_total")
}

func (b *Bench) checkSyncs(n, batches int) {
	problem := ""
	if n < batches {
		problem = fmt.Sprintf("%d acknowledgements one after the other took %d syncs of the journal", batches, n)
	}
	b.check("acknowledgements come after a sync, one connection",
		fmt.Sprintf("%d syncs of the journal for %d acknowledgements", n, batches), "one each", problem)
}
