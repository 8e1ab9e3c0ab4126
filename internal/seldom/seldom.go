// Package seldom keeps a log readable while one thing happens again and again:
// a disk that stays full, clients that are refused every second. A Limit says
// which of the lines to write, and how many were left out, so that the next
// line can tell.
//
// Any package may import it; it knows no logger and no clock.
package seldom

import (
	"sync"
	"time"
)

// Limit admits some lines in a time. The zero value admits one a minute. Its
// methods may be called from any goroutine.
type Limit struct {
	Lines int           // in a time; 1
	Time  time.Duration // a minute

	mu   sync.Mutex
	from time.Time // of the time under way
	said int       // in it
	left int       // lines left out since one was written
}

// Next says whether to write a line now, and how many were left out before it.
func (l *Limit) Next(now time.Time) (say bool, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over(now) {
		l.from, l.said = now, 0
	}
	if l.said >= max(l.Lines, 1) {
		l.left++
		return false, 0
	}
	left, l.left = l.left, 0
	l.said++
	return true, left
}

// Left returns how many lines were left out in a time that is over, once: what
// happened last shall be told too when nothing more happens.
func (l *Limit) Left(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over(now) {
		return 0
	}
	left := l.left
	l.left = 0
	return left
}

func (l *Limit) over(now time.Time) bool {
	each := l.Time
	if each <= 0 {
		each = time.Minute
	}
	return l.from.IsZero() || now.Sub(l.from) >= each
}
