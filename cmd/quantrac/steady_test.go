package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/seldom"
	"quantrac/internal/vfs"
)

// machine is a machine's clocks, to be set.
type machine struct {
	wall         quantrac.Millis
	mono, asleep time.Duration
	synced       bool
	log          strings.Builder
}

func (m *machine) clock() *steadyClock {
	return startClock(&steadyClock{
		wall: func() quantrac.Millis { return m.wall }, mono: func() time.Duration { return m.mono },
		asleep: func() time.Duration { return m.asleep }, synced: func() bool { return m.synced },
		log: slog.New(slog.NewTextHandler(&m.log, nil)), say: seldom.Limit{Time: time.Hour},
	})
}

// pass lets time pass, as all of the machine's clocks see it.
func (m *machine) pass(d time.Duration) {
	m.wall, m.mono = m.wall.Add(d), m.mono+d
}

const (
	aDay = 24 * time.Hour
	then = quantrac.Millis(1_793_500_000_000)
)

func TestSteadyClock(t *testing.T) {
	m := &machine{wall: then}
	c := m.clock()
	right := then // what it should say
	f := func(what string, refused bool) {
		t.Helper()
		if got := c.Now(); got != right {
			t.Fatalf("%s: it says %s, want %s", what, got, right)
		}
		if off := c.refused(); (off != 0) != refused {
			t.Errorf("%s: the machine's clock is off by %s", what, off)
		}
	}
	pass := func(d time.Duration) { m.pass(d); right = right.Add(d) }
	jump := func(d time.Duration) { m.wall = m.wall.Add(d) }
	follow := func(d time.Duration) { jump(d); right = right.Add(d) }

	f("at the start", false)
	pass(100 * aDay)
	f("after a long time", false)
	follow(20 * time.Hour)
	f("set forward by less than a day", false)
	follow(-20 * time.Hour)
	f("and back", false)
	jump(4000 * aDay)
	f("years ahead", true)
	pass(time.Hour)
	f("an hour later", true)
	pass(300 * aDay)
	f("for long", true)
	jump(-4000 * aDay)
	f("set right", false)
	jump(-2 * aDay)
	f("two days back", true)
	pass(time.Minute)
	m.synced = true
	right = m.wall
	f("which others agree with", false)
	m.synced = false
	pass(time.Minute)
	f("from then on", false)

	// A machine that sleeps over the week-end has not jumped.
	m.asleep += 3 * aDay
	follow(3 * aDay)
	f("awake again", false)
	jump(3 * aDay)
	f("a jump of as much later", true)
	m.asleep += 5 * aDay
	right = right.Add(5 * aDay)
	jump(5 * aDay)
	f("asleep while it is not believed", true)
	pass(time.Second)
	f("and awake", true)

	if err := c.accept(right); quantrac.KindOf(err) != quantrac.Conflict || !strings.Contains(err.Error(), m.wall.String()) {
		t.Errorf("accepted as about %s: %v", right, err)
	}
	f("not accepted", true)
	if err := c.accept(m.wall.Add(-20 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	right = m.wall
	f("accepted", false)
	pass(time.Hour)
	f("from then on", false)
	if n := strings.Count(m.log.String(), "is not believed"); n != 1 {
		t.Errorf("it was said %d times, want once in an hour of the test:\n%s", n, m.log.String())
	}
}

// A clock that is asked nothing for long has not jumped.
func TestSteadyClockIdle(t *testing.T) {
	m := &machine{wall: then}
	c := m.clock()
	m.pass(1000 * aDay)
	if got := c.Now(); got != m.wall || c.refused() != 0 {
		t.Errorf("after 1000 days it says %s and is off by %s", got, c.refused())
	}
	reached, cancel := c.At(m.wall)
	defer cancel()
	<-reached
	never, cancel := c.At(m.wall.Add(time.Hour))
	cancel()
	select {
	case <-never:
		t.Error("an hour has passed at once")
	default:
	}
}

// The machine's own clocks agree with one another.
func TestMachineClock(t *testing.T) {
	c := newSteadyClock(slog.New(slog.DiscardHandler))
	before := quantrac.SystemClock{}.Now()
	got := c.Now()
	after := quantrac.SystemClock{}.Now()
	if got < before || got > after || c.refused() != 0 || c.asleep() > time.Minute {
		t.Errorf("it says %s between %s and %s, off by %s, asleep for %s", got, before, after, c.refused(), c.asleep())
	}
}

// A service that was away for years, by a clock that nobody confirms, does not go
// on by it.
func TestLongPause(t *testing.T) {
	m := &machine{wall: then}
	mem := vfs.NewMem()
	open := func() *system {
		t.Helper()
		s := &system{c: &serveCmd{}, steady: m.clock()}
		s.clock = s.steady
		var err error
		if s.journal, err = journal.Open(mem, "j", journal.Options{Clock: s.clock, ReserveBytes: -1, MinFreeBytes: -1}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	if err := s.checkPause(false); err != nil {
		t.Errorf("a new journal: %v", err)
	}
	if _, err := s.journal.Append(t.Context(), journal.Record{Kind: quantrac.RecordAudit}); err != nil {
		t.Fatal(err)
	}
	if err := s.journal.Close(); err != nil {
		t.Fatal(err)
	}
	m.wall = then.Add(366 * aDay)
	s = open()
	if err := s.checkPause(false); err != nil {
		t.Errorf("a year later: %v", err)
	}
	if err := s.journal.Close(); err != nil {
		t.Fatal(err)
	}
	m.wall = then.Add(367 * aDay)
	s = open()
	t.Cleanup(func() { s.journal.Close() })
	if err := s.checkPause(false); quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "--accept-clock") {
		t.Errorf("more than a year later: %v", err)
	}
	if err := s.checkPause(true); err != nil {
		t.Errorf("accepted: %v", err)
	}
	m.synced = true
	if err := s.checkPause(false); err != nil {
		t.Errorf("synchronised: %v", err)
	}
}
