package dashboards

import (
	"slices"
	"time"

	"quantrac"
)

// maxPoints is how many buckets a chart is thinned to: about the width of a
// large screen in pixels at two points a bucket.
const maxPoints = 500

// chartSeries is a series ready to draw: times in Unix seconds, null values
// where the line must break.
type chartSeries struct {
	Key      string        `json:"key"`
	Metric   string        `json:"metric"`
	Sensor   string        `json:"sensor,omitempty"`
	Species  string        `json:"species,omitempty"`
	Name     quantrac.Text `json:"name"`
	Unit     string        `json:"unit"`
	Decimals int           `json:"decimals"`
	T        []float64     `json:"t"`
	V        []*float64    `json:"v"`
	Suspect  []int         `json:"suspect"`  // indices into t and v
	Count    int           `json:"count"`    // usable readings in the span
	Suspects int           `json:"suspects"` // of these, also where thinning left some out
	Failed   int           `json:"failed"`   // readings that failed and are not drawn
	Gaps     int           `json:"gaps"`
	Thinned  bool          `json:"thinned"` // buckets show their least and greatest reading
	Min      *float64      `json:"min"`     // least and greatest, of those not in doubt
	Max      *float64      `json:"max"`
	MinTime  float64       `json:"min_t,omitempty"`
	MaxTime  float64       `json:"max_t,omitempty"`
}

// chart thins a series to what a chart can show. The span is cut into equal
// buckets, and of each the least and the greatest reading stay, with their own
// times and quality, so that no peak is lost. The line breaks where two
// readings lie further apart than StaleAfter of the expected interval (of the
// median distance where none is registered).
func (c *chartSeries) chart(s *Series, interval time.Duration, from, to quantrac.Millis) {
	ts, vs, qs := c.usable(s)
	c.Count = len(ts)
	c.T, c.V, c.Suspect = []float64{}, []*float64{}, []int{}
	if len(ts) == 0 {
		return
	}
	if interval <= 0 {
		interval = medianStep(ts)
	}
	gap := quantrac.StaleAfter(interval)
	keep := everyIndex(len(ts))
	if len(ts) > 2*maxPoints {
		keep, c.Thinned = extremes(ts, vs, from, to), true
	}
	prev := -1 // index of the reading drawn last
	for _, i := range keep {
		// A bucket may be empty because readings were left out, so a gap is
		// looked for among all readings since the one drawn last.
		if prev >= 0 {
			if at, ok := breakBetween(ts, prev, i, gap); ok {
				c.T, c.V = append(c.T, seconds(at)), append(c.V, nil)
				c.Gaps++
			}
		}
		if qs[i] == quantrac.Suspect {
			c.Suspect = append(c.Suspect, len(c.T))
		}
		c.T, c.V = append(c.T, seconds(ts[i])), append(c.V, &vs[i])
		prev = i
	}
	c.bounds(ts, vs, qs)
}

// bounds finds the least and the greatest reading; doubtful ones count only
// where there are no others.
func (c *chartSeries) bounds(ts []quantrac.Millis, vs []float64, qs []quantrac.Quality) {
	lo, hi := -1, -1
	for i, v := range vs {
		if qs[i] == quantrac.Suspect && c.Suspects < c.Count {
			continue
		}
		if lo < 0 || v < vs[lo] {
			lo = i
		}
		if hi < 0 || v > vs[hi] {
			hi = i
		}
	}
	c.Min, c.Max, c.MinTime, c.MaxTime = &vs[lo], &vs[hi], seconds(ts[lo]), seconds(ts[hi])
}

func (c *chartSeries) usable(s *Series) (ts []quantrac.Millis, vs []float64, qs []quantrac.Quality) {
	for i, q := range s.Qualities {
		if q == quantrac.Fail {
			c.Failed++
		}
		if q.Usable() && finite(s.Values[i]) {
			if q == quantrac.Suspect {
				c.Suspects++
			}
			ts, vs, qs = append(ts, s.Times[i]), append(vs, s.Values[i]), append(qs, q)
		}
	}
	return ts, vs, qs
}

// extremes returns the indices of each bucket's least and greatest reading,
// and of the very first and last, in order.
func extremes(ts []quantrac.Millis, vs []float64, from, to quantrac.Millis) []int {
	width := max(int64(to-from)/maxPoints+1, 1)
	keep := []int{0}
	lo, hi, cur := -1, -1, int64(-1)
	flush := func() {
		if lo >= 0 {
			keep = append(keep, min(lo, hi), max(lo, hi))
		}
	}
	for i, t := range ts {
		if b := int64(t-from) / width; b != cur {
			flush()
			lo, hi, cur = i, i, b
		}
		if vs[i] < vs[lo] {
			lo = i
		}
		if vs[i] > vs[hi] {
			hi = i
		}
	}
	flush()
	keep = append(keep, len(ts)-1)
	slices.Sort(keep)
	return slices.Compact(keep)
}

// breakBetween finds the first distance beyond gap between readings i and j.
func breakBetween(ts []quantrac.Millis, i, j int, gap time.Duration) (quantrac.Millis, bool) {
	for k := i; k < j; k++ {
		if ts[k+1].Sub(ts[k]) > gap {
			return ts[k] + (ts[k+1]-ts[k])/2, true
		}
	}
	return 0, false
}

func everyIndex(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func medianStep(ts []quantrac.Millis) time.Duration {
	if len(ts) < 2 {
		return 0
	}
	steps := make([]time.Duration, len(ts)-1)
	for i := range steps {
		steps[i] = ts[i+1].Sub(ts[i])
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}

func seconds(t quantrac.Millis) float64 { return float64(t) / 1000 }
