package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

const day = quantrac.Millis(24 * 3_600_000)

// timesOf returns the commit times of a journal, which must rise.
func timesOf(t *testing.T, j *Journal) (times []quantrac.Millis) {
	t.Helper()
	err := j.Replay(context.Background(), 0, func(e Entry) error {
		if n := len(times); n > 0 && e.Time < times[n-1] {
			return fmt.Errorf("commit %d of %s follows one of %s", e.Number, e.Time, times[n-1])
		}
		times = append(times, e.Time)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(times); n > 0 && j.Last().Time != times[n-1] {
		t.Errorf("the last commit is of %s, read as %s", j.Last().Time, times[n-1])
	}
	return times
}

// A clock that was years ahead bars the journal until somebody says that it was
// wrong; from then on the journal opens by itself, and what was committed under
// it counts as committed then, in files and in memory, in a copy too.
func TestAcceptClock(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for _, segment := range []int64{200, 1 << 20} {
			mem := vfs.NewMem()
			clock := &clockAt{now: 1000 * day}
			o := small(nil)
			o.Clock, o.SegmentBytes = clock, segment
			var want []quantrac.Millis
			var j *Journal
			add := func(n int, at quantrac.Millis) {
				t.Helper()
				for range n {
					clock.now++
					mustAppend(t, j, "x")
					want = append(want, min(clock.now, at))
				}
			}
			reopen := func(accept bool) error {
				t.Helper()
				if crash {
					mem = mem.Crash(1)
				} else if j != nil {
					if err := j.Close(); err != nil {
						t.Fatal(err)
					}
				}
				o := o
				o.AcceptClock = accept
				var err error
				j, err = Open(mem, "/j", o) // nil with an error
				return err
			}
			check := func(when string) {
				t.Helper()
				if got := timesOf(t, j); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("%s (crash %v, segments of %d): times\n%d, want\n%d", when, crash, segment, got, want)
				}
			}
			j = open(t, mem, o)
			add(5, clock.now+day)
			clock.now += 4000 * day // ahead
			add(5, 1003*day)
			clock.now = 1003 * day // right again
			for range 2 {
				if err := reopen(false); quantrac.KindOf(err) != quantrac.Unavailable || !errors.Is(err, ErrClock) {
					t.Fatalf("opened before its last commit: %v", err)
				}
			}
			if err := reopen(true); err != nil {
				t.Fatal(err)
			}
			check("accepted")
			add(5, clock.now+day)
			check("with what came after it")
			copied := "/copy"
			if err := j.Snapshot(copied); err != nil {
				t.Fatal(err)
			}
			if err := reopen(false); err != nil {
				t.Fatal(err)
			}
			check("opened again")
			c, err := Open(mem, copied, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := timesOf(t, c); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("in the copy times %d, want %d", got, want)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			// Once more, and what was right meanwhile stays as it is.
			clock.now += 9000 * day
			add(2, 1010*day)
			clock.now = 1010 * day
			if err := reopen(true); err != nil {
				t.Fatal(err)
			}
			add(2, clock.now+day)
			check("a second time")
			// A clock that is right needs nothing accepted, and changes nothing.
			if err := reopen(true); err != nil {
				t.Fatal(err)
			}
			check("accepted for nothing")
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What says how to read the times must be whole: without it they would go back.
func TestClockMarksDamaged(t *testing.T) {
	mem := vfs.NewMem()
	clock := &clockAt{now: 1000 * day}
	o := small(nil)
	o.Clock = clock
	j := open(t, mem, o)
	mustAppend(t, j, "x")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	clock.now -= 10 * day
	o.AcceptClock = true
	j = open(t, mem, o)
	mustAppend(t, j, "y")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := vfs.ReadFile(mem, "/j/clock")
	if err != nil {
		t.Fatal(err)
	}
	for i, bad := range []string{"", string(whole[:len(whole)-3]), strings.Replace(string(whole), "1 ", "2 ", 1), "none"} {
		if bad == "none" {
			if err := mem.Remove("/j/clock"); err != nil {
				t.Fatal(err)
			}
		} else if err := vfs.WriteFile(mem, "/j/clock", []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(mem, "/j", o); quantrac.KindOf(err) != quantrac.Corrupt {
			t.Errorf("damage %d: %v", i, err)
		}
	}
}
