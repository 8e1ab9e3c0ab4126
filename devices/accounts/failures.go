package accounts

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"quantrac"
	"quantrac/internal/audit"
)

// failed writes a failed sign-in down. That it was refused does not depend on
// it, so an error of the disk is logged. Strangers must not be able to fill
// the disk: past maxFailures in an hour they are logged and counted only.
func (s *Store) failed(ctx context.Context, name string) {
	s.o.Logger.Warn("sign-in failed", "account", name, "from", audit.OriginFrom(ctx))
	if s.o.Audit == nil {
		return
	}
	ev := audit.Event{Actor: "nobody", Action: "login.failed", Object: fmt.Sprintf("%.64s", name)}
	write, before := s.failures.next(s.o.Clock.Now())
	if !write {
		return
	}
	if before > 0 {
		ev.Detail = map[string]string{"not_written_before": strconv.Itoa(before)}
	}
	if _, err := s.o.Audit.Append(ctx, ev); err != nil {
		s.o.Logger.Error("failed sign-in could not be written down", "error", err)
	}
}

// maxFailures is how many failed sign-ins are written down in an hour.
const maxFailures = 500

// failureCount counts failed sign-ins of the present hour.
type failureCount struct {
	mu      sync.Mutex
	hour    quantrac.Millis
	written int
	left    int // not written since the last one that was
}

// next says whether one more is written down, and how many before it were
// not.
func (f *failureCount) next(now quantrac.Millis) (write bool, before int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if hour := now - now%quantrac.Millis(time.Hour.Milliseconds()); hour != f.hour {
		f.hour, f.written = hour, 0
	}
	if f.written >= maxFailures {
		f.left++
		return false, 0
	}
	before, f.left = f.left, 0
	f.written++
	return true, before
}
