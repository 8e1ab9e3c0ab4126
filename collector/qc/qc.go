// Package qc judges readings by the real-time quality control tests of the
// QARTOD manuals of US IOOS (Manual for Real-Time Quality Control of Water
// Level Data, tests 3 gross range, 6 spike, 7 rate of change, 8 flat line; the
// other manuals number the same tests differently).
//
// It is pure: Judge is a function of the limits of a property, what has lately
// been seen of its series, and one observation. It does no I/O and knows no
// clock. Only gross range and fault values fail a reading; the other tests say
// at most suspect, because a real flood trips them.
//
// A Recent is the small memory that spike, rate and flat line need: bounded,
// whatever the rate of the readings, and copied by assignment, so that a caller
// can judge a batch on a copy and keep it only once the batch is durable.
// Readings that are not newer than what it holds are judged by the ranges alone
// and leave it as it is: late and repeated rows cannot disturb it.
//
// The collector imports it; it imports the root vocabulary only.
package qc

import (
	"math"

	"quantrac"
)

// Tests is a set of tests.
type Tests uint8

// The tests.
const (
	FaultValue   Tests = 1 << iota // a code that means "no reading": fail
	GrossRange                     // outside what sensor or nature can give: fail
	UserRange                      // outside what is usual here: suspect
	Spike                          // far from the mean of both neighbours: suspect
	RateOfChange                   // changes too fast: suspect
	FlatLine                       // has not changed for too long: suspect
)

// All lists the tests with their names in metrics.
var All = [...]struct {
	Test Tests
	Name string
}{
	{FaultValue, "fault_value"}, {GrossRange, "gross_range"}, {UserRange, "user_range"},
	{Spike, "spike"}, {RateOfChange, "rate_of_change"}, {FlatLine, "flat_line"},
}

// Count adds one to each test of the set, in the order of All.
func (s Tests) Count(flags *[len(All)]int) {
	if s == 0 {
		return
	}
	for i, t := range All {
		if s&t.Test != 0 {
			flags[i]++
		}
	}
}

// Verdict is what the tests say of one observation.
type Verdict struct {
	// Quality is the worst that any test said: NotEvaluated where none could
	// look, as for a property without limits.
	Quality quantrac.Quality
	// Flagged are the tests that made it suspect or failed.
	Flagged Tests
	// Before is the spike test's verdict on the observation before this one,
	// which needed this one as its neighbour: Good, Suspect, or NotEvaluated
	// where it has none.
	Before quantrac.Quality
	// Late says that the observation is not newer than what is remembered: the
	// ranges alone have judged it and nothing was entered.
	Late bool
}

// Judge judges a value v of valid time t and enters it into r. A Missing
// reading (v NaN) is entered as a gap: it is a slot of the series without a
// value. r may be nil: then only the ranges are tested.
func Judge(p *quantrac.Property, r *Recent, t quantrac.Millis, v float64) Verdict {
	d := Ranges(p, v)
	if d.Late = r == nil || !r.newer(t); d.Late {
		return d
	}
	if !d.Quality.Usable() {
		r.gap(p, t) // a missing or failed value is no neighbour to judge others by
		return d
	}
	r.breakAfterSilence(p, t)
	if !math.IsNaN(p.SpikeLimit) && r.neighbours == 2 {
		d.Before = quantrac.Good
		if Deviation(r.before, r.last, v) > p.SpikeLimit {
			d.Before = quantrac.Suspect
		}
	}
	if !math.IsNaN(p.RateLimit) {
		d.say(RateOfChange, r.seen && Rate(r.lastTime, r.last, t, v) > p.RateLimit)
	}
	if span := flatSpan(p); span > 0 {
		flat, judged := r.flat.add(t, v, span, p.FlatEpsilon)
		if judged {
			d.say(FlatLine, flat)
		}
	}
	r.enter(t, v)
	return d
}

// Ranges are the tests that look at the value alone: fault values, gross range
// and user range.
func Ranges(p *quantrac.Property, v float64) Verdict {
	var d Verdict
	if math.IsNaN(v) {
		return Verdict{Quality: quantrac.Missing}
	}
	for _, f := range p.FaultValues {
		if v == f {
			return Verdict{Quality: quantrac.Fail, Flagged: FaultValue}
		}
	}
	if p.NonNegative || !math.IsNaN(p.Min) || !math.IsNaN(p.Max) {
		if v < p.Min || v > p.Max || p.NonNegative && v < 0 {
			return Verdict{Quality: quantrac.Fail, Flagged: GrossRange}
		}
		d.Quality = quantrac.Good
	}
	if !math.IsNaN(p.SuspectMin) || !math.IsNaN(p.SuspectMax) {
		d.say(UserRange, v < p.SuspectMin || v > p.SuspectMax)
	}
	return d
}

// say enters the result of a test that says at most suspect.
func (d *Verdict) say(t Tests, flagged bool) {
	switch {
	case flagged:
		d.Quality, d.Flagged = quantrac.Suspect, d.Flagged|t
	case d.Quality == quantrac.NotEvaluated:
		d.Quality = quantrac.Good
	}
}

// Deviation is the quantity of the spike test: how far v lies from the mean of
// both neighbours, in the property's unit.
func Deviation(prev, v, next float64) float64 { return math.Abs(v - (prev+next)/2) }

// Rate is the quantity of the rate-of-change test: the change from v0 at t0 to
// v1 at t1 per second, without its sign, in the property's unit per second.
func Rate(t0 quantrac.Millis, v0 float64, t1 quantrac.Millis, v1 float64) float64 {
	return math.Abs(v1-v0) / (float64(t1-t0) / 1000)
}
