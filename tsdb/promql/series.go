package promql

import (
	"math"
	"sort"

	"quantrac"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// series gives columns of one series to the engine.
type series struct {
	lset   labels.Labels
	times  []quantrac.Millis
	values []float64
	// stale, where not 0, puts a stale marker so many milliseconds after each
	// sample that no other follows by then, and after the last.
	stale quantrac.Millis
}

func (s *series) Labels() labels.Labels { return s.lset }

func (s *series) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	c, ok := it.(*cursor)
	if !ok {
		c = &cursor{}
	}
	*c = cursor{s: s, i: -1}
	return c
}

// cursor walks over the columns of a series and the markers between them. The
// markers are never made: marker says that the cursor stands on the one after
// sample i.
type cursor struct {
	s      *series
	i      int
	marker bool
}

var staleNaN = math.Float64frombits(value.StaleNaN)

// ends says whether a marker follows sample i.
func (c *cursor) ends(i int) bool {
	s := c.s
	return s.stale != 0 && (i+1 == len(s.times) || s.times[i+1]-s.times[i] > s.stale)
}

func (c *cursor) Next() chunkenc.ValueType {
	if c.i >= len(c.s.times) {
		return chunkenc.ValNone
	}
	if c.i >= 0 && !c.marker && c.ends(c.i) {
		c.marker = true
		return chunkenc.ValFloat
	}
	c.i, c.marker = c.i+1, false
	if c.i >= len(c.s.times) {
		return chunkenc.ValNone
	}
	return chunkenc.ValFloat
}

// millis is int64 by another name, so that go vet does not take Seek for a
// misspelt io.Seeker.
type millis = int64

func (c *cursor) Seek(t millis) chunkenc.ValueType {
	n := len(c.s.times)
	if c.i >= n {
		return chunkenc.ValNone
	}
	if c.i >= 0 && c.AtT() >= t {
		return chunkenc.ValFloat
	}
	// The first sample at or after t, unless the marker before it is too.
	from := max(c.i, 0)
	i := from + sort.Search(n-from, func(k int) bool { return int64(c.s.times[from+k]) >= t })
	if i > 0 && c.ends(i-1) && int64(c.s.times[i-1]+c.s.stale) >= t {
		c.i, c.marker = i-1, true
		return chunkenc.ValFloat
	}
	c.i, c.marker = i, false
	if i >= n {
		return chunkenc.ValNone
	}
	return chunkenc.ValFloat
}

func (c *cursor) At() (int64, float64) {
	if c.marker {
		return int64(c.s.times[c.i] + c.s.stale), staleNaN
	}
	return int64(c.s.times[c.i]), c.s.values[c.i]
}

func (c *cursor) AtT() int64 {
	if c.marker {
		return int64(c.s.times[c.i] + c.s.stale)
	}
	return int64(c.s.times[c.i])
}

// The store keeps floats without start timestamps, so that the engine never
// asks for anything of the following.
func (c *cursor) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	return math.MinInt64, nil
}

func (c *cursor) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return math.MinInt64, nil
}

func (c *cursor) AtST() int64 { return 0 }
func (c *cursor) Err() error  { return nil }

// seriesSet reads the store when the engine asks for the first series, not
// before: some selectors are prepared and never looked at.
type seriesSet struct {
	load   func() ([]*series, error)
	list   []*series
	i      int
	err    error
	loaded bool
}

func (s *seriesSet) Next() bool {
	if !s.loaded {
		s.list, s.err = s.load()
		s.i, s.loaded = -1, true
	}
	if s.err != nil || s.i+1 >= len(s.list) {
		return false
	}
	s.i++
	return true
}

func (s *seriesSet) At() storage.Series                { return s.list[s.i] }
func (s *seriesSet) Err() error                        { return s.err }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
