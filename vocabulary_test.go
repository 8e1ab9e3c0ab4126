package quantrac

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

func TestLabels(t *testing.T) {
	ls := NewLabels("station", "tan_quoi", "__name__", "water_level_meters", "b", "1", "b", "2", "empty", "")
	if got, want := ls.String(), `water_level_meters{b="2", station="tan_quoi"}`; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if got, want := ls.With("a", "x").With("b", "").With("z", "y").String(), `water_level_meters{a="x", station="tan_quoi", z="y"}`; got != want {
		t.Errorf("With = %s, want %s", got, want)
	}
	if got := ls.With("b", "3").Get("b"); got != "3" {
		t.Errorf("With replaced to %q", got)
	}
	if ls.Get("b") != "2" {
		t.Error("With changed its receiver")
	}
	if err := ls.Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []Labels{
		{{"b", "1"}, {"a", "1"}},
		{{"a", ""}},
		{{"", "x"}},
		{{"a", "\xff"}},
		{{"a", string(make([]byte, MaxLabelValueBytes+1))}},
		make(Labels, MaxLabels+1),
	} {
		if KindOf(bad.Validate()) != Invalid {
			t.Errorf("Validate(%v) = %v, want an Invalid error", bad, bad.Validate())
		}
	}
	// Keys must not collide where names and values run into each other.
	if NewLabels("a", "bc").Key() == NewLabels("ab", "c").Key() {
		t.Error("two sets share a key")
	}
}

func TestStationLink(t *testing.T) {
	f := func(station, want string) {
		t.Helper()
		if got := StationLink("https://quantrac.example.vn", station); got != want {
			t.Errorf("%q: %s, want %s", station, got, want)
		}
	}
	f("tram-chim", "https://quantrac.example.vn/#/station/tram-chim")
	f("trạm 1/a#b", "https://quantrac.example.vn/#/station/tr%E1%BA%A1m%201%2Fa%23b")
}

func TestMatchers(t *testing.T) {
	f := func(kind MatchKind, pattern, value string, want bool) {
		t.Helper()
		m, err := NewMatcher(kind, "x", pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Matches(value); got != want {
			t.Errorf("%s matches %q = %v, want %v", m, value, got, want)
		}
	}
	f(MatchEqual, "a", "a", true)
	f(MatchEqual, "", "", true)
	f(MatchNotEqual, "a", "b", true)
	f(MatchRegexp, "a|b", "b", true)
	f(MatchRegexp, "a|b", "ab", false) // anchored around the whole alternative
	f(MatchRegexp, "a.c", "a\nc", true)
	f(MatchNotRegexp, "a.*", "xa", true)
	if _, err := NewMatcher(MatchRegexp, "x", "("); KindOf(err) != Invalid {
		t.Errorf("bad expression: %v, want an Invalid error", err)
	}
}

func TestTime(t *testing.T) {
	f := func(text string, want Millis) {
		t.Helper()
		got, err := ParseTime(text)
		if err != nil || got != want {
			t.Errorf("ParseTime(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	f("1700000000", 1700000000000)
	f("1700000000.123", 1700000000123)
	f("1700000000.1239", 1700000000123)
	f("-0.0005", -1)
	f("2026-11-23T07:00:00+07:00", 1795392000000)
	f("1969-12-31T23:59:59.9999Z", -1)
	for _, bad := range []string{"", "NaN", "Inf", "1e300", "yesterday", "2026-11-23"} {
		if _, err := ParseTime(bad); KindOf(err) != Invalid {
			t.Errorf("ParseTime(%q): %v, want an Invalid error", bad, err)
		}
	}
	at, _ := ParseTime("2026-11-23T16:59:59.999Z")
	if from, to := at.Day(); from.String() != "2026-11-23T00:00:00.000+07:00" || to != at+1 {
		t.Errorf("day of %s is %s to %s", at, from, to)
	}
	if from, _ := at.RainDay(); from.String() != "2026-11-23T19:00:00.000+07:00" {
		t.Errorf("rain day starts %s", from)
	}
	if n := at.Add(5 * time.Hour).Night(); n != "2026-11-23" {
		t.Errorf("night after midnight is dated %s", n)
	}
	for _, x := range []struct {
		to, from Millis
		want     time.Duration
	}{
		{1500, 500, time.Second},
		{9_000_000_000_000, -9_000_000_000_000, math.MaxInt64},
		{-9_000_000_000_000, 9_000_000_000_000, math.MinInt64},
		{MaxMillis, MinMillis, math.MaxInt64},
	} {
		if d := x.to.Sub(x.from); d != x.want {
			t.Errorf("%d ms after %d ms is %d ns, want %d", x.to, x.from, d, x.want)
		}
	}
	if from, _ := Millis(-1).Day(); from.String() != "1970-01-01T00:00:00.000+07:00" {
		t.Errorf("day before 1970 starts %s", from)
	}
}

func TestManualClock(t *testing.T) {
	c := NewManualClock(1000)
	first, _ := c.At(2000)
	second, cancel := c.At(3000)
	past, _ := c.At(1000)
	<-past
	c.Set(500) // never backwards
	if c.Now() != 1000 {
		t.Errorf("clock went back to %d", c.Now())
	}
	cancel()
	c.Advance(5 * time.Second)
	<-first
	select {
	case <-second:
		t.Error("a cancelled wait was woken")
	default:
	}
}

func TestQuality(t *testing.T) {
	var zero Quality
	if zero != NotEvaluated || zero.Code() != 2 {
		t.Error("the zero value is not 'not evaluated'")
	}
	for _, q := range []Quality{Good, NotEvaluated, Suspect, Fail, Missing} {
		if back, err := QualityFromCode(q.Code()); err != nil || back != q {
			t.Errorf("%s: code %d comes back as %s, %v", q, q.Code(), back, err)
		}
	}
	f := func(text string, want QualitySet) {
		t.Helper()
		if got, err := ParseQualitySet(text); err != nil || got != want {
			t.Errorf("ParseQualitySet(%q) = %b, %v, want %b", text, got, err, want)
		}
	}
	f("1,2,3", DefaultQualities)
	f("1|4", 1<<Good|1<<Fail)
	f("all", AllQualities)
	for _, bad := range []string{"", "5", "1,", "good"} {
		if _, err := ParseQualitySet(bad); KindOf(err) != Invalid {
			t.Errorf("ParseQualitySet(%q): %v, want an Invalid error", bad, err)
		}
	}
	if QualitySet(0).Has(Fail) || !QualitySet(0).Has(Suspect) {
		t.Error("the zero set is not the default one")
	}
}

func TestVisible(t *testing.T) {
	dev := func(n uint64, v float64) Revision { return Revision{Value: v, Commit: Commit{Number: n}} }
	hum := func(n uint64, v float64, revoked uint64) Revision {
		return Revision{Value: v, Commit: Commit{Number: n}, Layer: LayerHuman, Revoked: revoked}
	}
	f := func(revs []Revision, asOf uint64, deviceOnly bool, want float64) {
		t.Helper()
		got := math.NaN()
		if r := Visible(revs, asOf, deviceOnly); r != nil {
			got = r.Value
		}
		if !SameValue(got, want) {
			t.Errorf("Visible(asOf %d, deviceOnly %v) = %v, want %v", asOf, deviceOnly, got, want)
		}
	}
	none := math.NaN()
	f(nil, 0, false, none)
	revs := []Revision{dev(1, 10), hum(2, 20, 5), dev(3, 30), hum(4, 40, 6)}
	f(revs, 1, false, 10)
	f(revs, 2, false, 20)
	f(revs, 3, false, 20)
	f(revs, 3, true, 30)
	f(revs, 4, false, 40)
	f(revs, 5, false, 40)
	f(revs, 6, false, 30)
	f(revs, 0, false, 30)
	f([]Revision{hum(2, 20, 5), dev(3, 30)}, 4, false, 20)
	f([]Revision{hum(2, 20, 0)}, 1, false, none)
}

func TestCheckTime(t *testing.T) {
	now, _ := ParseTime("2026-11-23T00:00:00Z")
	y2k, _ := ParseTime("2000-01-01T03:00:00Z")
	f := func(at, installed Millis, want TimeVerdict) {
		t.Helper()
		if got := CheckTime(at, now, installed); got != want {
			t.Errorf("CheckTime(%s, installed %s) = %s, want %s", at, installed, got, want)
		}
	}
	f(now, 0, TimeOK)
	f(now.Add(MaxAhead), 0, TimeOK)
	f(now.Add(MaxAhead)+1, 0, TimeAhead)
	f(y2k, 0, TimeBootClock)
	f(y2k, 1, TimeOK) // a station known to be older is believed
	f(y2k, now, TimeBeforeStart)
	f(0, 0, TimeBootClock)
	f(-1, 0, TimeBootClock)
	f(now.Add(MaxKeptAhead), 0, TimeAhead)
	f(now.Add(MaxKeptAhead)+1, 0, TimeFarAhead)
	f(now.Add(MaxKeptAhead)+1, now, TimeFarAhead)
	f(1e15, 0, TimeFarAhead)
	f(MaxMillis, 0, TimeFarAhead)
	f(EarliestReading, 0, TimeOK)
	f(EarliestReading-1, 0, TimeTooOld)
	f(EarliestReading-1, EarliestReading-2, TimeTooOld)
	f(-1e15, now, TimeTooOld)
	// The dates as a clock in local time says them, from the first zone to the last.
	for _, date := range []string{"1970-01-01", "1980-01-01", "1980-01-06", "2000-01-01", "2004-01-01"} {
		for _, zone := range []string{"+14:00", "+07:00", "Z", "-12:00"} {
			at, err := ParseTime(date + "T00:00:00" + zone)
			if err != nil {
				t.Fatal(err)
			}
			f(at, 0, TimeBootClock)
			f(at.Add(time.Hour), 0, TimeBootClock)
		}
		first, _ := ParseTime(date + "T00:00:00+14:00")
		if date != "1980-01-06" { // which lies in the days after 1980-01-01
			f(first-1, 0, TimeOK)
		}
	}
	if got := CheckTime(y2k, y2k, 0); got != TimeOK {
		t.Errorf("a replay of the year 2000 is taken for a boot clock: %s", got)
	}
}

func TestErrors(t *testing.T) {
	base := errors.New("disk on fire")
	err := fmt.Errorf("append: %w", Errorf(Unavailable, "journal: %w", base))
	if KindOf(err) != Unavailable || !errors.Is(err, base) || err.Error() != "append: journal: disk on fire" {
		t.Errorf("error lost its kind, cause or text: %v (%s)", err, KindOf(err))
	}
	if KindOf(base) != KindNone || KindNone.HTTPStatus() != 500 || Busy.HTTPStatus() != 503 {
		t.Error("the table of kinds is off")
	}
	if WithKind(Busy, nil) != nil {
		t.Error("WithKind(nil) is not nil")
	}
}
