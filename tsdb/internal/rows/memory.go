package rows

import "sync"

// Memory is what the pages of runs are cut from, of one head for as long as it is
// read: rows come and go by tens of megabytes, and the pages of one head serve the
// next as they are, with nothing for the garbage collector to find, sweep and clear.
//
// One goroutine at a time takes; nil takes from the heap.
type Memory struct {
	spare *Spare
	all   [][]uint64
	rest  []uint64
}

// Spare keeps pieces of memory that no head uses, as many as the last head had. The
// zero value has none. It may be used by several goroutines.
type Spare struct {
	mu   sync.Mutex
	free [][]uint64
}

// pieceWords is how large the pieces are: a quarter MiB.
const pieceWords = 1 << 15

// Memory returns memory that is to be given back by Free.
func (s *Spare) Memory() *Memory { return &Memory{spare: s} }

// take returns so many words, all 0.
func (m *Memory) take(words int) []uint64 {
	if m == nil || words > pieceWords/8 {
		return make([]uint64, words)
	}
	if len(m.rest) < words {
		m.rest = m.spare.piece()
		m.all = append(m.all, m.rest)
	}
	out := m.rest[:words:words]
	m.rest = m.rest[words:]
	return out
}

func (s *Spare) piece() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free) - 1
	if n < 0 {
		return make([]uint64, pieceWords)
	}
	p := s.free[n]
	s.free[n] = nil
	s.free = s.free[:n]
	return p
}

// Free gives back what was taken. The runs that lie in it may not be read any more.
func (m *Memory) Free() {
	for _, p := range m.all {
		clear(p)
	}
	m.spare.mu.Lock()
	defer m.spare.mu.Unlock()
	m.spare.free = append(m.spare.free, m.all...)
	for len(m.spare.free) > len(m.all) { // there was more to do once
		n := len(m.spare.free) - 1
		m.spare.free[n] = nil
		m.spare.free = m.spare.free[:n]
	}
	m.all, m.rest = nil, nil
}
