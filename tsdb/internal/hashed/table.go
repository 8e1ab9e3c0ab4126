// Package hashed finds numbers by a hash of what they stand for. A Table has no
// pointers that the garbage collector would have to look at, and takes little more
// than the numbers. Whoever asks says whether a number is the one, as hashes may
// collide. Pure data, not safe for concurrent use; the engine's packages import it.
package hashed

// Table finds numbers. The zero value is empty and ready.
type Table struct {
	slots []slot // a power of two of them
	used  int
}

// slot holds a number, one more than it is; 0 is a free one.
type slot struct{ hash, number uint32 }

const leastSlots = 16

// Len returns how many numbers there are.
func (t *Table) Len() int { return t.used }

// Find returns the number with a hash that is the one.
func (t *Table) Find(hash uint32, is func(number uint32) bool) (uint32, bool) {
	if t.used == 0 {
		return 0, false
	}
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; t.slots[i].number != 0; i = (i + 1) & mask {
		if s := t.slots[i]; s.hash == hash && is(s.number-1) {
			return s.number - 1, true
		}
	}
	return 0, false
}

// Grow makes room for so many numbers in all.
func (t *Table) Grow(n int) {
	size := leastSlots
	for 4*n > 3*size {
		size *= 2
	}
	if size > len(t.slots) {
		t.resize(size)
	}
}

func (t *Table) resize(size int) {
	old := t.slots
	t.slots = make([]slot, size)
	for _, s := range old {
		if s.number != 0 {
			t.put(s)
		}
	}
}

// Add adds a number below 2^32 − 1 that is not there.
func (t *Table) Add(hash, number uint32) {
	if 4*(t.used+1) > 3*len(t.slots) {
		t.resize(max(leastSlots, 2*len(t.slots)))
	}
	t.put(slot{hash, number + 1})
	t.used++
}

func (t *Table) put(s slot) {
	mask := uint32(len(t.slots) - 1)
	i := s.hash & mask
	for t.slots[i].number != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

// Remove takes a number out that is there.
func (t *Table) Remove(hash, number uint32) {
	mask := uint32(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i].number != number+1 {
		i = (i + 1) & mask
	}
	t.used--
	// What comes behind moves up, so that it is still found from its own place.
	for k := (i + 1) & mask; t.slots[k].number != 0; k = (k + 1) & mask {
		if home := t.slots[k].hash & mask; (k-home)&mask >= (k-i)&mask {
			t.slots[i] = t.slots[k]
			i = k
		}
	}
	t.slots[i] = slot{}
}
