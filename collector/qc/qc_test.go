package qc

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"quantrac"
)

// off is a property with every test switched off.
func off() quantrac.Property {
	n := math.NaN()
	return quantrac.Property{Name: "water_level_meters", Min: n, Max: n, SuspectMin: n, SuspectMax: n, SpikeLimit: n, RateLimit: n}
}

const minute = quantrac.Millis(60_000)

func TestRanges(t *testing.T) {
	p := off()
	p.Min, p.Max, p.SuspectMin, p.SuspectMax = -1, 8, 0, 5
	p.FaultValues = []float64{-9999, 7999, 3.25}
	f := func(v float64, want quantrac.Quality, by Tests) {
		t.Helper()
		if d := Judge(&p, nil, 0, v); d.Quality != want || d.Flagged != by {
			t.Errorf("%v: %s by %b, want %s by %b", v, d.Quality, d.Flagged, want, by)
		}
	}
	f(2, quantrac.Good, 0)
	f(0, quantrac.Good, 0)
	f(5, quantrac.Good, 0)
	f(-0.5, quantrac.Suspect, UserRange)
	f(5.001, quantrac.Suspect, UserRange)
	f(-1, quantrac.Suspect, UserRange)
	f(8, quantrac.Suspect, UserRange)
	f(-1.001, quantrac.Fail, GrossRange)
	f(8.001, quantrac.Fail, GrossRange)
	f(-9999, quantrac.Fail, FaultValue)
	f(7999, quantrac.Fail, FaultValue)
	f(3.25, quantrac.Fail, FaultValue) // inside the range, but a code
	f(math.Inf(1), quantrac.Fail, GrossRange)
	f(math.NaN(), quantrac.Missing, 0)

	p = off()
	f(1e300, quantrac.NotEvaluated, 0)
	p.Max = 10 // one side only
	f(-1e9, quantrac.Good, 0)
	f(11, quantrac.Fail, GrossRange)
	p = off()
	p.NonNegative = true
	f(0, quantrac.Good, 0)
	f(-0.1, quantrac.Fail, GrossRange)
}

// feed judges values a minute apart, NaN for a missing one, and returns the
// quality code of each with the late verdict of the spike test worked in.
func feed(p *quantrac.Property, r *Recent, from quantrac.Millis, values ...float64) string {
	out := make([]quantrac.Quality, len(values))
	for i, v := range values {
		d := Judge(p, r, from+quantrac.Millis(i)*minute, v)
		out[i] = d.Quality
		if d.Before == quantrac.Suspect && i > 0 {
			out[i-1] = quantrac.Suspect
		}
	}
	s := ""
	for _, q := range out {
		s += fmt.Sprint(q.Code())
	}
	return s
}

func TestFailedValuesAreNoNeighbours(t *testing.T) {
	p := off()
	p.Min, p.Max, p.SpikeLimit, p.RateLimit = 0, 10, 1, 0.1 // 6 a minute
	p.FaultValues = []float64{-9999}
	if got := feed(&p, new(Recent), 0, 2, 2.1, -9999, 2.2, 2.3, 99, 2.4, 2.5); got != "11411411" {
		t.Errorf("got %s", got)
	}
	if got := feed(&p, new(Recent), 0, 2, 2.1, 5, 2.2, 2.3); got != "13331" {
		t.Errorf("spike and its neighbours: got %s", got)
	}
	if got := feed(&p, new(Recent), 0, 2, 2, 8.5, 8.5, 8.5); got != "13311" {
		t.Errorf("step of 6.5 in a minute: got %s", got)
	}
}

func TestLateRowsLeaveTheMemoryAlone(t *testing.T) {
	p := off()
	p.Min, p.Max, p.SpikeLimit, p.RateLimit, p.FlatFor, p.Interval = 0, 10, 1, 0.05, 3*time.Minute, time.Minute
	var r Recent
	feed(&p, &r, 100*minute, 2, 2.1, 2.2)
	kept := r
	for _, late := range []quantrac.Millis{0, 99 * minute, 101 * minute, 102 * minute} {
		d := Judge(&p, &r, late, 9)
		if d.Quality != quantrac.Good || d.Before != quantrac.NotEvaluated || r != kept {
			t.Fatalf("late row at %d: %+v, memory %+v want %+v", late, d, r, kept)
		}
		if d := Judge(&p, &r, late, 11); d.Quality != quantrac.Fail || r != kept {
			t.Fatalf("late row out of range at %d: %+v", late, d)
		}
		if d := Judge(&p, &r, late, math.NaN()); d.Quality != quantrac.Missing || r != kept {
			t.Fatalf("late missing row at %d: %+v", late, d)
		}
	}
	if d := Judge(&p, &r, 103*minute, 2.3); d.Quality != quantrac.Good {
		t.Errorf("after the late rows: %+v", d)
	}
}

func TestFlatLineAfterAnOutage(t *testing.T) {
	p := off()
	p.FlatFor, p.Interval, p.FlatEpsilon = 5*time.Minute, time.Minute, 0.001
	var r Recent
	if got := feed(&p, &r, 0, 2, 2, 2, 2, 2, 2, 2); got != "2222233" {
		t.Errorf("flat for 5 min: got %s", got)
	}
	// An hour of silence: the same value again is no evidence of a stuck sensor.
	if got := feed(&p, &r, 60*minute, 2, 2, 2, 2, 2, 2); got != "222223" {
		t.Errorf("after an hour of silence: got %s", got)
	}
	if got := feed(&p, &r, 66*minute, 2.5, 2, 2); got != "111" {
		t.Errorf("moving again: got %s", got)
	}
}

// The bounded queues must never call flat what is not, and must find every flat
// line within the bound.
func TestFlatWindowAgainstPlain(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		p := off()
		p.FlatFor = time.Duration(2+rnd.IntN(40)) * time.Minute
		p.FlatEpsilon = float64(rnd.IntN(3))
		var r Recent
		var times []quantrac.Millis
		var values []float64
		at, v := quantrac.Millis(0), 0.0
		for range 300 {
			at += quantrac.Millis(1+rnd.IntN(3)) * minute
			switch rnd.IntN(6) {
			case 0:
				v = float64(rnd.IntN(50))
			case 1, 2:
				v++
			}
			times, values = append(times, at), append(values, v)
			got := Judge(&p, &r, at, v).Flagged&FlatLine != 0
			want, turns := plainFlat(times, values, p.FlatFor, p.FlatEpsilon)
			if got && !want || want && !got && turns <= queueSize {
				t.Fatalf("round %d, reading %d: flat %v, want %v (%v)", round, len(values), got, want, values[max(0, len(values)-40):])
			}
		}
	}
}

// plainFlat says whether the values of the last span lie within epsilon, and
// how many readings the run before it had without one that was surpassed.
func plainFlat(times []quantrac.Millis, values []float64, span time.Duration, epsilon float64) (flat bool, turns int) {
	n := len(times) - 1
	from := times[n].Add(-span)
	if times[0] > from || n == 0 {
		return false, 0
	}
	lo, hi := values[n], values[n]
	for i := n; i >= 0 && times[i] >= from; i-- {
		lo, hi = min(lo, values[i]), max(hi, values[i])
		turns++
	}
	return hi-lo <= epsilon, turns
}

func BenchmarkJudge(b *testing.B) {
	p := off()
	p.Min, p.Max, p.SpikeLimit, p.RateLimit, p.FlatFor, p.Interval = 0, 10, 1, 0.05, 6*time.Hour, 10*time.Minute
	var r Recent
	b.ReportAllocs()
	t := quantrac.Millis(0)
	for b.Loop() {
		t += 10 * minute
		Judge(&p, &r, t, 5+3*math.Sin(float64(t)/7e6))
	}
}
