package accounts

import (
	"net/netip"
	"sync"
	"time"

	"quantrac"
)

// Guessing is slowed down by three counts at once: of a name from one
// address, so that a stranger cannot lock an officer out of their own desk; of
// an address, whatever the names; and of a name, whatever the addresses, set
// loosely for the same reason. Past its limit a count blocks for firstBlock,
// then twice as long with every further failure, up to longestBlock.
const (
	pairLimit    = 5
	addrLimit    = 20
	nameLimit    = 50
	firstBlock   = 30 * time.Second
	longestBlock = 15 * time.Minute
	forgetAfter  = time.Hour // after the last failure
	maxCounts    = 20_000    // kept at once
)

type limiter struct {
	clock  quantrac.Clock
	mu     sync.Mutex
	counts map[string]*failures
}

type failures struct {
	n       int
	last    quantrac.Millis
	blocked quantrac.Millis // until then
}

func newLimiter(clock quantrac.Clock) *limiter {
	return &limiter{clock: clock, counts: map[string]*failures{}}
}

// attempt is one try that has been let through: it counts as a failure until
// it succeeds, so that a hundred tries at once are a hundred failures.
type attempt struct {
	l    *limiter
	keys [3]string
}

// begin lets a try through or says how long to wait.
func (l *limiter) begin(name, addr string) (*attempt, time.Duration) {
	addr = network(addr)
	a := &attempt{l, [3]string{"p " + name + " " + addr, "a " + addr, "n " + name}}
	limits := [3]int{pairLimit, addrLimit, nameLimit}
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var wait time.Duration
	for _, k := range a.keys {
		if f := l.counts[k]; f != nil && f.blocked > now {
			wait = max(wait, f.blocked.Sub(now))
		}
	}
	if wait > 0 {
		return nil, wait
	}
	l.makeRoom(now)
	for i, k := range a.keys {
		f := l.counts[k]
		if f == nil || now.Sub(f.last) > forgetAfter {
			f = &failures{}
			l.counts[k] = f
		}
		f.n, f.last = f.n+1, now
		if over := f.n - limits[i]; over >= 0 {
			f.blocked = now.Add(min(longestBlock, firstBlock<<min(over, 10)))
		}
	}
	return a, 0
}

// succeed takes the try back: of its name from its address everything is
// forgotten, of the address and the name this one.
func (a *attempt) succeed() {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	delete(a.l.counts, a.keys[0])
	for _, k := range a.keys[1:] {
		if f := a.l.counts[k]; f != nil {
			f.n, f.blocked = max(0, f.n-1), 0
		}
	}
}

// makeRoom forgets counts until a try more fits: the old ones, else any that
// blocks nobody.
func (l *limiter) makeRoom(now quantrac.Millis) {
	if len(l.counts) < maxCounts {
		return
	}
	for k, f := range l.counts {
		if now.Sub(f.last) > forgetAfter {
			delete(l.counts, k)
		}
	}
	for k, f := range l.counts {
		if len(l.counts) < maxCounts*3/4 {
			return
		}
		if f.blocked <= now {
			delete(l.counts, k)
		}
	}
	if len(l.counts) >= 2*maxCounts {
		clear(l.counts) // all of them block: better forgetful than out of memory
	}
}

// network returns what of an address stands for one household: an IPv6 /64,
// an IPv4 address.
func network(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
