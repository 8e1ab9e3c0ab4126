package accounts

import (
	"maps"
	"sync"
	"time"

	"quantrac"
	"quantrac/internal/turnstile"
)

// Guessing is slowed down by counts of failures. Of strangers there are three
// at once: of a name from one address; of an address, whatever the names; and of
// a name, whatever the addresses. Past its limit a count blocks for firstBlock,
// then twice as long with every further failure, up to its longest.
//
// Nobody may use them to keep an officer out: whoever tries from where the name
// has signed in before is held up by the count of the name from there alone, and
// a browser that has signed in before (mark.go) by its own alone. The two counts
// that others can fill never block for long.
const (
	pairLimit = 5
	markLimit = 10
	addrLimit = 20
	nameLimit = 50

	firstBlock   = 30 * time.Second
	longestBlock = 15 * time.Minute // of what somebody has done to themselves
	sharedBlock  = time.Minute      // of what others may have done

	forgetAfter = time.Hour           // after the last failure
	knownFor    = 30 * 24 * time.Hour // after the last sign-in from there
	maxCounts   = 20_000              // kept at once
)

type limiter struct {
	clock  quantrac.Clock
	mu     sync.Mutex
	counts map[string]*failures
	known  map[string]quantrac.Millis // when a name has last signed in from an address
}

type failures struct {
	n       int
	last    quantrac.Millis
	blocked quantrac.Millis // until then
}

func newLimiter(clock quantrac.Clock) *limiter {
	return &limiter{clock: clock, counts: map[string]*failures{}, known: map[string]quantrac.Millis{}}
}

// count is one of the counts that a try is held up by.
type count struct {
	key     string
	limit   int
	longest time.Duration
}

// attempt is one try that has been let through: it counts as a failure until
// it succeeds, so that a hundred tries at once are a hundred failures.
type attempt struct {
	l      *limiter
	pair   string
	counts []count // the first is of the one who tries alone
	known  bool    // by mark or address
}

// begin lets a try through or says how long to wait. mark is the browser's, ""
// where it has none that is good for the name.
func (l *limiter) begin(name, addr, mark string) (*attempt, time.Duration) {
	addr = turnstile.Network(addr)
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.attempt(name, addr, mark, now)
	var wait time.Duration
	for _, c := range a.counts {
		if f := l.counts[c.key]; f != nil && f.blocked > now {
			wait = max(wait, f.blocked.Sub(now))
		}
	}
	if wait > 0 {
		return nil, wait
	}
	l.makeRoom(now)
	for _, c := range a.counts {
		l.count(c, now)
	}
	return a, 0
}

// attempt says by which counts a try is held up. The lock is held.
func (l *limiter) attempt(name, addr, mark string, now quantrac.Millis) *attempt {
	a := &attempt{l: l, pair: name + " " + addr}
	if mark != "" {
		a.known, a.counts = true, []count{{"m " + name + " " + mark, markLimit, longestBlock}}
		return a
	}
	a.counts = []count{{"p " + a.pair, pairLimit, longestBlock}}
	last, ok := l.known[a.pair]
	if a.known = ok && now.Sub(last) <= knownFor; !a.known {
		a.counts = append(a.counts, count{"a " + addr, addrLimit, sharedBlock}, count{"n " + name, nameLimit, sharedBlock})
	}
	return a
}

// count takes a try for a failure. The lock is held.
func (l *limiter) count(c count, now quantrac.Millis) {
	f := l.counts[c.key]
	if f == nil || now.Sub(f.last) > forgetAfter {
		f = &failures{}
		l.counts[c.key] = f
	}
	f.n, f.last = f.n+1, now
	if over := f.n - c.limit; over >= 0 {
		f.blocked = now.Add(min(c.longest, firstBlock<<min(over, 10)))
	}
}

// succeed takes the try back: of its name from there everything is forgotten,
// of the address and the name this one; and the address is known from now on.
func (a *attempt) succeed() {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	delete(a.l.counts, a.counts[0].key)
	a.takeBack(a.counts[1:])
	a.l.remember(a.pair)
}

// withdraw takes the try back where it was not heard.
func (a *attempt) withdraw() {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	a.takeBack(a.counts)
}

func (a *attempt) takeBack(cs []count) {
	for _, c := range cs {
		if f := a.l.counts[c.key]; f != nil {
			f.n, f.blocked = max(0, f.n-1), 0
		}
	}
}

// remember notes that a name has signed in from an address. The lock is held.
func (l *limiter) remember(pair string) {
	now := l.clock.Now()
	if len(l.known) >= maxCounts {
		maps.DeleteFunc(l.known, func(_ string, last quantrac.Millis) bool { return now.Sub(last) > knownFor })
	}
	if len(l.known) >= maxCounts {
		clear(l.known) // people who sign in from thousands of places are known by their marks
	}
	l.known[pair] = now
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
