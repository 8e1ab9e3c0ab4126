package dashboards

import (
	"math"
	"slices"
	"time"

	"quantrac"
)

// Windows of the trend rules.
const (
	// trendWindow is the least time over which rising and falling is judged:
	// long enough for a few readings of 10 or 15 minutes, short against the
	// six hours that the tide here rises or falls.
	trendWindow = time.Hour
	// trendIntervals widens the window for slower series: this many expected
	// intervals.
	trendIntervals = 4
	// tidalMean is two periods of the principal lunar tide M2 (12.42 h each):
	// a mean over it hardly feels the tide, so the difference of two such
	// means says where the flood is going.
	tidalMean = 24*time.Hour + 50*time.Minute
	// tidalCover is the share of expected readings a tidal mean must rest on.
	tidalCover = 0.9
	// defaultEpsilon is the change per hour below which a stage reads steady
	// where the registry sets none: the resolution of a staff gauge, 1 cm.
	defaultEpsilon = 0.01
	// maxSlopePoints bounds the pairs of the slope; of more points in the
	// window every k-th is taken.
	maxSlopePoints = 61
)

// Direction of a trend.
type direction string

const (
	rising  direction = "rising"
	falling direction = "falling"
	steady  direction = "steady"
)

// trend is where a series is going: Dir over Window by PerHour (unit per
// hour), and DayChange, the difference of the newest tidal mean from the one
// before it (unit per tidal day), nil where readings are too few.
type trend struct {
	Dir       direction `json:"dir"`
	PerHour   float64   `json:"per_hour"`
	Window    int64     `json:"window_s"`
	DayChange *float64  `json:"day_change,omitempty"`
}

// trendOf judges a series by its usable readings: the median of the slopes of
// all pairs of readings (Theil 1950, Sen 1968), which one spike cannot turn,
// over the last hour or four expected intervals, whichever is longer, counted
// back from the newest reading; below eps per hour it is steady. At least
// three readings over at least half the window are wanted, else nil.
func trendOf(s *Series, interval time.Duration, eps float64) *trend {
	t, v := usable(s)
	if len(t) == 0 {
		return nil
	}
	window := max(trendWindow, trendIntervals*interval)
	last := t[len(t)-1]
	from, _ := slices.BinarySearch(t, last.Add(-window))
	slope, ok := theilSen(t[from:], v[from:])
	if !ok || last.Sub(t[from]) < window/2 {
		return nil
	}
	if eps <= 0 || math.IsNaN(eps) {
		eps = defaultEpsilon
	}
	tr := &trend{Dir: steady, PerHour: slope, Window: int64(window / time.Second)}
	switch {
	case slope >= eps:
		tr.Dir = rising
	case slope <= -eps:
		tr.Dir = falling
	}
	tr.DayChange = dayChange(t, v, interval)
	return tr
}

// usable returns the times and values that rules may use.
func usable(s *Series) ([]quantrac.Millis, []float64) {
	t := make([]quantrac.Millis, 0, len(s.Times))
	v := make([]float64, 0, len(s.Times))
	for i, q := range s.Qualities {
		if q.Usable() && finite(s.Values[i]) {
			t, v = append(t, s.Times[i]), append(v, s.Values[i])
		}
	}
	return t, v
}

// theilSen returns the median slope of all pairs, per hour.
func theilSen(t []quantrac.Millis, v []float64) (float64, bool) {
	step := (len(t) + maxSlopePoints - 1) / maxSlopePoints
	if len(t) < 3 {
		return 0, false
	}
	var slopes []float64
	for i := len(t) - 1; i >= 0; i -= step {
		for j := i - step; j >= 0; j -= step {
			if d := t[i].Sub(t[j]); d > 0 {
				slopes = append(slopes, (v[i]-v[j])/d.Hours())
			}
		}
	}
	if len(slopes) == 0 {
		return 0, false
	}
	slices.Sort(slopes)
	m := len(slopes) / 2
	if len(slopes)%2 == 1 {
		return slopes[m], true
	}
	return (slopes[m-1] + slopes[m]) / 2, true
}

// dayChange returns the newest tidal mean less the one before it.
func dayChange(t []quantrac.Millis, v []float64, interval time.Duration) *float64 {
	if interval <= 0 || interval > time.Hour || len(t) == 0 {
		return nil
	}
	last := t[len(t)-1]
	mid, _ := slices.BinarySearch(t, last.Add(-tidalMean)+1)
	from, _ := slices.BinarySearch(t, last.Add(-2*tidalMean)+1)
	want := tidalCover * float64(tidalMean) / float64(interval)
	if float64(len(t)-mid) < want || float64(mid-from) < want {
		return nil
	}
	d := mean(v[mid:]) - mean(v[from:mid])
	return &d
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
