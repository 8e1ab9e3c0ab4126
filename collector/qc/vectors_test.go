package qc

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/shared"
)

// vector is one recorded call of the reference implementation.
type vector struct {
	Test     string
	Function string
	Raises   string
	Flags    []uint8
	Args     struct {
		Inp, Tinp                         []json.RawMessage
		Fail_span, Suspect_span           []float64
		Suspect_threshold, Fail_threshold float64
		Threshold, Tolerance              float64
		Method                            any
	}
}

// TestRecordedVectors runs every recorded call of gross range, spike, rate of
// change and flat line through Judge and compares flag by flag. The recorded
// functions know two thresholds, of which the higher fails; ours never fails on
// these tests, so the vector is run once for each threshold.
func TestRecordedVectors(t *testing.T) {
	ran, left := map[string]int{}, map[string]int{}
	for _, call := range shared.JSONLines[json.RawMessage](t, "qc_ioos_qartod", "qartod_vectors.jsonl") {
		var head struct{ Function string }
		if err := json.Unmarshal(call, &head); err != nil {
			t.Fatal(err)
		}
		run := map[string]func(*testing.T, vector) []uint8{
			"gross_range_test": grossRangeVector, "spike_test": spikeVector,
			"rate_of_change_test": rateVector, "flat_line_test": flatVector,
		}[head.Function]
		if run == nil {
			continue // a test we do not have
		}
		var v vector
		if err := json.Unmarshal(call, &v); err != nil {
			t.Fatalf("%s: %v", call, err)
		}
		switch {
		case v.Raises != "":
			left["the call is refused for its arguments"]++
			continue
		case v.Args.Method == "differential":
			left["the differential form of the spike test, which no QARTOD manual has"]++
			continue
		}
		ran[head.Function]++
		if got := run(t, v); !slices.Equal(got, v.Flags) {
			t.Errorf("%s: got %v\nwant %v\nof %s", v.Test, got, v.Flags, call)
		}
	}
	want := map[string]int{"gross_range_test": 2, "spike_test": 9, "rate_of_change_test": 5, "flat_line_test": 15}
	for name, n := range want {
		if ran[name] != n {
			t.Errorf("%s: %d calls compared, want %d", name, ran[name], n)
		}
	}
	t.Logf("compared %v, left out %v", ran, left)
}

// values reads the input: numbers, and null or "NaN" or a masked value for
// missing.
func (v vector) values(t *testing.T) []float64 {
	out := make([]float64, len(v.Args.Inp))
	for i, raw := range v.Args.Inp {
		if json.Unmarshal(raw, &out[i]) != nil || string(raw) == "null" {
			out[i] = math.NaN()
		}
	}
	return out
}

// times reads the times: seconds, or ISO 8601 in UTC.
func (v vector) times(t *testing.T) []quantrac.Millis {
	out := make([]quantrac.Millis, len(v.Args.Tinp))
	for i, raw := range v.Args.Tinp {
		var s float64
		if json.Unmarshal(raw, &s) == nil {
			out[i] = quantrac.Millis(s * 1000)
			continue
		}
		at, err := time.Parse("2006-01-02T15:04:05.999999999", strings.Trim(string(raw), `"`))
		if err != nil {
			t.Fatal(err)
		}
		out[i] = quantrac.FloorMillis(at)
	}
	return out
}

func grossRangeVector(t *testing.T, v vector) []uint8 {
	p := off()
	p.Min, p.Max = v.Args.Fail_span[0], v.Args.Fail_span[1]
	p.SuspectMin, p.SuspectMax = v.Args.Suspect_span[0], v.Args.Suspect_span[1]
	var out []uint8
	for i, x := range v.values(t) {
		out = append(out, Judge(&p, new(Recent), quantrac.Millis(i), x).Quality.Code())
	}
	return out
}

// twice runs a vector for both thresholds and lays the fails over the suspects.
func twice(run func(threshold float64) []uint8, suspect, fail float64) []uint8 {
	out := run(suspect)
	if fail == 0 {
		return out
	}
	for i, f := range run(fail) {
		if f == 3 {
			out[i] = 4
		}
	}
	return out
}

func spikeVector(t *testing.T, v vector) []uint8 {
	return twice(func(limit float64) []uint8 {
		p := off()
		p.SpikeLimit = limit
		var r Recent
		var out []uint8
		for i, x := range v.values(t) {
			d := Judge(&p, &r, quantrac.Millis(i), x)
			if d.Before != quantrac.NotEvaluated {
				out[i-1] = d.Before.Code()
			}
			out = append(out, d.Quality.Code())
		}
		return out
	}, v.Args.Suspect_threshold, v.Args.Fail_threshold)
}

func rateVector(t *testing.T, v vector) []uint8 {
	times := v.times(t)
	return twice(func(limit float64) []uint8 {
		p := off()
		p.RateLimit = limit
		var r Recent
		var out []uint8
		for i, x := range v.values(t) {
			out = append(out, Judge(&p, &r, times[i], x).Quality.Code())
		}
		return out
	}, v.Args.Threshold, v.Args.Fail_threshold)
}

func flatVector(t *testing.T, v vector) []uint8 {
	times := v.times(t)
	return twice(func(seconds float64) []uint8 {
		p := off()
		p.Min = math.Inf(-1) // the recorded function says good where it cannot tell yet
		p.FlatFor, p.FlatEpsilon = time.Duration(seconds*float64(time.Second)), v.Args.Tolerance
		if len(times) > 1 {
			p.Interval = times[1].Sub(times[0])
		}
		var r Recent
		out := []uint8{}
		for i, x := range v.values(t) {
			out = append(out, Judge(&p, &r, times[i], x).Quality.Code())
		}
		return out
	}, v.Args.Suspect_threshold, v.Args.Fail_threshold)
}
