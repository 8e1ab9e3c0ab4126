package score

import (
	"errors"
	"fmt"
	"time"

	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/recorded"
	"quantrac/tsdb/internal/score/store"
)

// lastDay is the end of the network's time as a load of its own.
func (b *Bench) lastDay() load.Network { return b.Scale.lasting(min(1, b.Scale.Days)) }

// latestQuestion asks for the latest of all where there is one day only.
func (b *Bench) latestQuestion() question {
	q := questions(b.lastDay())[latestOfAll]
	q.what += " of one day"
	return q
}

// latest asks Prometheus for the latest of all stations, and us the same. Both
// are given the last day of the network only: of more Prometheus would make more
// blocks and no other answer.
func (b *Bench) latest() error {
	f, err := b.file(b.lastDay())
	if err != nil {
		return err
	}
	defer f.Close()
	answers := map[string]map[string][]byte{}
	q := b.latestQuestion()
	for _, k := range b.among(store.PrometheusName) {
		answers[k.Name] = map[string][]byte{}
		b.with(k, "latest", func(s *store.Server) error {
			r, err := b.feed(s, f, 1)
			if err != nil {
				return err
			}
			if k == b.Ours {
				return b.quiz(s, q, answers[k.Name])
			}
			b.Figures.Set(figCPU("last day", 1), "CPU-s/M", k.Name, r.cpu())
			return b.patiently(s, q, answers[k.Name])
		})
	}
	name := q.name + " " + q.what
	b.agree(name, answers[b.Ours.Name][name], answers[store.PrometheusName][name], store.PrometheusName, 0)
	return b.ctx.Err()
}

// patiently is quiz of a peer that refuses its own questions while it makes blocks of
// what it was sent, as Prometheus does ("cannot populate chunk"): it is asked up to
// three times.
func (b *Bench) patiently(s *store.Server, q question, answers map[string][]byte) error {
	for try := 1; ; try++ {
		err := b.quiz(s, q, answers)
		var refused *store.Refused
		if try == 3 || !errors.As(err, &refused) {
			return err
		}
		b.say("%v; once more in 15 s", err)
		select {
		case <-time.After(15 * time.Second):
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
}

// decadeLoad is water levels over many years.
func (b *Bench) decadeLoad() load.Network {
	return load.Decade(b.Scale.DecadeStations, b.Scale.DecadeYears)
}

func (b *Bench) decadeQuestion() question { return dailyMaxima(b.decadeLoad()) }

// decade asks for the daily maxima of many years.
func (b *Bench) decade() error {
	f, err := b.file(b.decadeLoad())
	if err != nil {
		return err
	}
	defer f.Close()
	answers := map[string]map[string][]byte{}
	q := b.decadeQuestion()
	for _, k := range b.among(store.Victoria) {
		answers[k.Name] = map[string][]byte{}
		b.take(k, "decade", f, func(s *store.Server) error { return b.quiz(s, q, answers[k.Name]) })
	}
	name := q.name + " " + q.what
	b.agree(name, answers[b.Ours.Name][name], answers[store.Victoria][name], store.Victoria, q.tolerance)
	return b.ctx.Err()
}

// singlesLoad is the name of the load of series that share no row.
const singlesLoad = "singles"

// singles is series of one value a minute each, that share no row with others.
func (b *Bench) singles() error {
	f, err := b.file(load.Singles(b.Scale.Singles, b.Scale.SinglesValues))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, k := range b.among(store.Victoria) {
		b.take(k, singlesLoad, f, nil)
	}
	return b.ctx.Err()
}

// recordedLoad is the name of the recorded series in figures.
const recordedLoad = "recorded series"

// recorded weighs real series: water quality and stage every quarter of an hour,
// discharge, hourly tides.
func (b *Bench) recorded() error {
	if b.Recorded == "" {
		b.Figures.fail("all", recordedLoad, fmt.Errorf("the recorded observations are not beside this checkout"))
		return nil
	}
	batches, failed := recorded.Batches(b.Recorded, batchLines)
	f, err := b.write(batches)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := failed(); err != nil {
		return err
	}
	for _, k := range b.among(store.Victoria, store.VictoriaLean, store.InfluxName) {
		b.take(k, recordedLoad, f, nil)
	}
	return b.ctx.Err()
}
