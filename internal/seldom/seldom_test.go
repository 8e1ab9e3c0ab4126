package seldom

import (
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	l := Limit{Lines: 2, Time: 10 * time.Second}
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	next := func(after time.Duration, say bool, left int) {
		t.Helper()
		if s, n := l.Next(begin.Add(after)); s != say || n != left {
			t.Errorf("after %s: %v, %d left out before; want %v, %d", after, s, n, say, left)
		}
	}
	left := func(after time.Duration, want int) {
		t.Helper()
		if n := l.Left(begin.Add(after)); n != want {
			t.Errorf("after %s: %d left out, want %d", after, n, want)
		}
	}
	left(0, 0)
	next(0, true, 0)
	next(time.Second, true, 0)
	next(2*time.Second, false, 0)
	next(9*time.Second, false, 0)
	left(9*time.Second, 0) // the time is not over
	next(10*time.Second, true, 2)
	next(10*time.Second, true, 0)
	for range 3 {
		next(11*time.Second, false, 0)
	}
	left(20*time.Second, 3)
	left(21*time.Second, 0)
	next(30*time.Second, true, 0)

	l = Limit{}
	next(0, true, 0)
	next(59*time.Second, false, 0)
	next(60*time.Second, true, 1)
}
