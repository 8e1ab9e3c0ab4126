package quantrac

import (
	"math"
	"strconv"
	"time"
)

// Millis is a point in time: UTC milliseconds since 1970-01-01. It is the only
// form in which times are stored.
type Millis int64

// Ends of time that mean "since ever" and "for ever" in queries and validity
// periods. They stay clear of the int64 limits so that adding a duration to
// one of them does not wrap.
const (
	MinMillis Millis = -1 << 60
	MaxMillis Millis = 1 << 60
)

// Zone is the civil time of the province, +07:00 the year round.
var Zone = time.FixedZone("+07", 7*3600)

// FloorMillis converts a time to Millis; finer stamps are floored, also before
// 1970.
func FloorMillis(t time.Time) Millis {
	// UnixMilli truncates nanoseconds that time keeps non-negative, so it floors.
	return Millis(t.UnixMilli())
}

// Time returns the point in time in UTC.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Add returns the point in time d later; what is finer than a millisecond is
// cut off.
func (m Millis) Add(d time.Duration) Millis { return m + Millis(d.Milliseconds()) }

// Sub returns the time from other to m; what is longer than a duration can be (292
// years) is the longest there is, as with time.Time.Sub.
func (m Millis) Sub(other Millis) time.Duration {
	const longest = Millis(math.MaxInt64 / time.Millisecond)
	switch d := m - other; {
	case d > longest:
		return math.MaxInt64
	case d < -longest:
		return math.MinInt64
	default:
		return time.Duration(d) * time.Millisecond
	}
}

// String writes the time as people read it here: RFC 3339 with milliseconds at
// +07:00.
func (m Millis) String() string {
	if m <= MinMillis {
		return "-∞"
	}
	if m >= MaxMillis {
		return "+∞"
	}
	return m.Time().In(Zone).Format("2006-01-02T15:04:05.000-07:00")
}

// ParseTime reads a time in the forms every endpoint accepts: RFC 3339, or
// Unix seconds with an optional fraction, as the Prometheus API does. Finer
// than a millisecond is floored.
func ParseTime(s string) (Millis, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		ms := f * 1000
		if !(ms > float64(MinMillis) && ms < float64(MaxMillis)) {
			return 0, Errorf(Invalid, "time %q is out of range", s)
		}
		// Decimal seconds such as 1700000000.123 have no exact float64; round
		// to the microsecond before flooring so that .123 stays 123 ms.
		return Millis(floorTo(ms)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, Errorf(Invalid, "time %q is neither RFC 3339 nor Unix seconds", s)
	}
	return FloorMillis(t), nil
}

func floorTo(ms float64) int64 {
	n := int64(ms)
	if float64(n) > ms {
		n--
	}
	if ms-float64(n) > 0.999 { // within a microsecond of the next millisecond
		n++
	}
	return n
}

// Day returns the civil day at +07:00 that holds the time: its first
// millisecond and the first of the next day. Days end at 17:00 UTC.
func (m Millis) Day() (from, to Millis) {
	return dayFrom(m, 0)
}

// RainDay returns the rain day that holds the time: 19:00 to 19:00 at +07:00,
// the convention of Vietnamese rain networks.
func (m Millis) RainDay() (from, to Millis) {
	return dayFrom(m, 19*time.Hour)
}

func dayFrom(m Millis, start time.Duration) (from, to Millis) {
	const day = Millis(24 * 3600 * 1000)
	off := Millis((7*time.Hour - start).Milliseconds())
	d := (m + off) % day
	if d < 0 {
		d += day
	}
	return m - d, m - d + day
}

// Night returns the date of the insect night that holds the time: a night is
// dated by its evening and runs from noon to noon at +07:00.
func (m Millis) Night() string {
	from, _ := dayFrom(m, 12*time.Hour)
	return from.Time().In(Zone).Format(time.DateOnly)
}

// Clock is where rooms take the time from, so that tests and replays of old
// recordings can drive it.
type Clock interface {
	// Now returns the present.
	Now() Millis
	// At returns a channel that is closed once the clock has reached t, and a
	// function that gives up the wait. The channel of a time that has passed
	// is closed at once.
	At(t Millis) (reached <-chan struct{}, cancel func())
}
