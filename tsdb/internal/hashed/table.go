// Package hashed finds numbers by a hash of what they stand for. A Table has no
// pointers that the garbage collector would have to look at, and takes little more
// than the numbers. Whoever asks says whether a number is the one, as hashes may
// collide. Pure data, not safe for concurrent use; the engine's packages import it.
package hashed

// Table finds numbers. The zero value is empty and ready.
type Table struct {
	slots []slot
	used  int
}

// slot holds a number, one more than it is; 0 is a free one.
type slot struct{ hash, number uint32 }

const leastSlots = 16

// Len returns how many numbers there are.
func (t *Table) Len() int { return t.used }

// home returns where a hash would be at first: slots stand in the order of hashes,
// so that of a table of any size one that is larger is filled from end to end.
func (t *Table) home(hash uint32) int { return int(uint64(hash) * uint64(len(t.slots)) >> 32) }

// after returns the place behind one.
func (t *Table) after(i int) int {
	if i++; i == len(t.slots) {
		return 0
	}
	return i
}

// Find returns the number with a hash that is the one.
func (t *Table) Find(hash uint32, is func(number uint32) bool) (uint32, bool) {
	if t.used == 0 {
		return 0, false
	}
	for i := t.home(hash); t.slots[i].number != 0; i = t.after(i) {
		if s := t.slots[i]; s.hash == hash && is(s.number-1) {
			return s.number - 1, true
		}
	}
	return 0, false
}

// Grow makes room for so many numbers in all.
func (t *Table) Grow(n int) {
	if 4*n > 3*len(t.slots) {
		t.resize(max(leastSlots, (4*n+2)/3))
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

// Add adds a number below 2^32 − 1 that is not there. A large table grows by a
// quarter: twice as much would stand empty for long.
func (t *Table) Add(hash, number uint32) {
	if n := len(t.slots); 4*(t.used+1) > 3*n {
		if n < 1<<16 {
			n *= 2
		} else {
			n += n / 4
		}
		t.resize(max(leastSlots, n))
	}
	t.put(slot{hash, number + 1})
	t.used++
}

func (t *Table) put(s slot) {
	i := t.home(s.hash)
	for t.slots[i].number != 0 {
		i = t.after(i)
	}
	t.slots[i] = s
}

// Remove takes a number out that is there.
func (t *Table) Remove(hash, number uint32) {
	i := t.home(hash)
	for t.slots[i].number != number+1 {
		i = t.after(i)
	}
	t.used--
	// What comes behind moves up, so that it is still found from its own place.
	for k := t.after(i); t.slots[k].number != 0; k = t.after(k) {
		if t.from(t.home(t.slots[k].hash), k) >= t.from(i, k) {
			t.slots[i] = t.slots[k]
			i = k
		}
	}
	t.slots[i] = slot{}
}

// from returns how far a place lies behind another.
func (t *Table) from(i, k int) int {
	if k < i {
		k += len(t.slots)
	}
	return k - i
}
