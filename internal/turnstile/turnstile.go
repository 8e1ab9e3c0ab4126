// Package turnstile lets connections into a server: so many at once, and whom it
// has to wait for longest gives way to those who come.
//
// What it promises: however many connections are opened, stalled or read slowly,
// no more than Options.Max of them hold a file of the process, and one that asks
// properly is let in as long as any of the others is one that the server waits
// for: for a request, for a body, or for the client to take what is written. Of
// those the network with most connections loses its stalest. Nothing waits for
// ever: a body has to keep coming and an answer to be taken (see Bodies and
// Options.Patience), and answers that last are counted (see Streams).
//
// Use: New, Listener around each listener, Serving around what a connection is
// served by; for HTTP, Bodies around the handler and ConnContext in the server do
// that. It knows nothing of what goes over a connection. Any package with a
// listener may import it; cmd does.
package turnstile

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Options of a turnstile.
type Options struct {
	Max      int           // connections at once; 1000
	Patience time.Duration // for a client to take what is written, and for a body to begin; 30 s
	Longest  time.Duration // for the whole of a body; 5 min
	Busy     []byte        // what is said to those who are not let in
}

// Turnstile counts connections. Its methods may be called from any goroutine.
type Turnstile struct {
	o Options

	mu     sync.Mutex
	visits map[*visit]struct{}
	from   map[string]int // how many, by network
	stats  Stats
}

// Stats are figures for metrics.
type Stats struct {
	Open    int
	Cut     uint64 // made room for others since the start
	Refused uint64 // not let in since the start
}

// New makes a turnstile.
func New(o Options) *Turnstile {
	if o.Max <= 0 {
		o.Max = 1000
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Longest <= 0 {
		o.Longest = 5 * time.Minute
	}
	return &Turnstile{o: o, visits: map[*visit]struct{}{}, from: map[string]int{}}
}

// Stats returns the figures of now.
func (t *Turnstile) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := t.stats
	st.Open = len(t.visits)
	return st
}

// Listener lets through what another listener accepts. Several listeners share
// the places of one turnstile.
func (t *Turnstile) Listener(l net.Listener) net.Listener { return &listener{l, t} }

type listener struct {
	net.Listener
	t *Turnstile
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if v := l.t.admit(c); v != nil {
			return v, nil
		}
		l.t.turnAway(c)
	}
}

// grace is how long whoever has just come, or moved, is not cut: their bytes may
// be here and yet to be read.
const grace = 100 * time.Millisecond

// admit lets a connection in; nil says that there is no place.
func (t *Turnstile) admit(c net.Conn) *visit {
	v := newVisit(t, c)
	for {
		out, fresh, ok := t.place(v)
		if ok {
			if out != nil {
				_ = out.Close() // whoever serves it finds out by its next read or write
			}
			return v
		}
		if !fresh {
			return nil
		}
		time.Sleep(grace / 10) // the next ones wait before the door meanwhile
	}
}

// place takes a place for a connection: a free one, or that of out. Without one,
// fresh says that there will be, soon.
func (t *Turnstile) place(v *visit) (out *visit, fresh, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.visits) >= t.o.Max {
		if out, fresh = t.stalest(); out == nil {
			if !fresh {
				t.stats.Refused++
			}
			return nil, fresh, false
		}
		t.stats.Cut++
		t.remove(out)
	}
	t.visits[v] = struct{}{}
	t.from[v.network]++
	return out, false, true
}

// stalest is whom the server has waited for longest, of the network that holds
// most places; fresh says that it has not for long, and is to be given time. The
// lock is held.
func (t *Turnstile) stalest() (worst *visit, fresh bool) {
	most, since := 0, int64(0)
	for v := range t.visits {
		if !v.waiting() {
			continue
		}
		if n, at := t.from[v.network], v.since.Load(); worst == nil || n > most || n == most && at < since {
			worst, most, since = v, n, at
		}
	}
	if worst != nil && since > time.Now().Add(-grace).UnixNano() {
		return nil, true
	}
	return worst, false
}

// remove takes a connection off the list, once. The lock is held.
func (t *Turnstile) remove(v *visit) {
	if _, ok := t.visits[v]; !ok {
		return
	}
	delete(t.visits, v)
	if t.from[v.network]--; t.from[v.network] == 0 {
		delete(t.from, v.network)
	}
}

// turnAway says that there is no place and closes. What the client has sent by
// now is read, as it would not see the answer otherwise.
func (t *Turnstile) turnAway(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(grace / 20)) // who comes next waits for as long
	_, _ = c.Read(make([]byte, 4<<10))
	_ = c.SetWriteDeadline(time.Now().Add(grace))
	_, _ = c.Write(t.o.Busy) // it is closed whether it hears it or not
}

// Network returns what of an address stands for one household: an IPv6 /64, an
// IPv4 address; what is no address, for itself.
func Network(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		addr = host
	}
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
