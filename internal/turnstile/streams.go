package turnstile

import (
	"net/netip"
	"sync"
)

// Streams counts answers that last, so that they leave room for others: in all,
// and of one network an eighth of that. Those of this machine itself are bounded
// by all alone, as everybody behind a proxy may be.
type Streams struct {
	max, each int

	mu      sync.Mutex
	open    int
	from    map[string]int
	refused uint64
}

// NewStreams makes a count of at most so many.
func NewStreams(most int) *Streams {
	return &Streams{max: most, each: max(most/8, 1), from: map[string]int{}}
}

// Enter lets in one more from an address, until leave is called once. ok is false
// where there is no place.
func (s *Streams) Enter(addr string) (leave func(), ok bool) {
	network := Network(addr)
	ip, err := netip.ParseAddr(network)
	local := err == nil && ip.IsLoopback() || network == "::/64"
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.max || !local && s.from[network] >= s.each {
		s.refused++
		return nil, false
	}
	s.open++
	s.from[network]++
	return func() { s.leave(network) }, true
}

func (s *Streams) leave(network string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.from[network]--; s.from[network] == 0 {
		delete(s.from, network)
	}
}

// Stats returns how many are open, and how many were refused since the start.
func (s *Streams) Stats() (open int, refused uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open, s.refused
}
