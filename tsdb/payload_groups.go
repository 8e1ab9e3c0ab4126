package tsdb

import (
	"encoding/binary"
	"hash/maphash"
)

// payloadGroups is the table of label sets of a payload that is being written:
// every set once, found by its key (quantrac.Labels.AppendKey). It is used again
// for payload after payload, large and small, without being wiped.
type payloadGroups struct {
	payload uint64 // how many were begun
	buf     []byte // the table, as it is written
	keys    []extent
	slots   []groupSlot // a power of two of them, half of them free at least
	seed    maphash.Seed
}

type extent struct{ from, to int }

// groupSlot holds the number of a set of a payload; it is free in any other.
type groupSlot struct {
	payload      uint64
	hash, number uint32
}

// begin empties the table for another payload.
func (t *payloadGroups) begin() {
	if t.payload == 0 {
		t.seed = maphash.MakeSeed()
		t.slots = make([]groupSlot, 16)
	}
	t.payload++
	t.buf, t.keys = t.buf[:0], t.keys[:0]
}

// hash returns the hash of a key, which find and add want to be told.
func (t *payloadGroups) hash(key []byte) uint32 { return uint32(maphash.Bytes(t.seed, key)) }

// find returns the position of the set with a key.
func (t *payloadGroups) find(hash uint32, key []byte) (position int, ok bool) {
	mask := uint32(len(t.slots) - 1)
	for i := hash & mask; t.slots[i].payload == t.payload; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.hash != hash {
			continue
		}
		if k := t.keys[s.number]; string(t.buf[k.from:k.to]) == string(key) {
			return int(s.number), true
		}
	}
	return 0, false
}

// add adds a set of so many labels, whose key find has not found, and returns its
// position.
func (t *payloadGroups) add(hash uint32, key []byte, labels int) int {
	if 2*len(t.keys) >= len(t.slots) {
		old := t.slots
		t.slots = make([]groupSlot, 2*len(old))
		for _, s := range old {
			if s.payload == t.payload {
				t.put(s)
			}
		}
	}
	n := len(t.keys)
	t.buf = binary.AppendUvarint(t.buf, uint64(labels))
	from := len(t.buf)
	t.buf = append(t.buf, key...)
	t.keys = append(t.keys, extent{from, len(t.buf)})
	t.put(groupSlot{t.payload, hash, uint32(n)})
	return n
}

func (t *payloadGroups) put(s groupSlot) {
	mask := uint32(len(t.slots) - 1)
	i := s.hash & mask
	for t.slots[i].payload == t.payload {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

// keyAt returns the key of the set at a position, until another is added.
func (t *payloadGroups) keyAt(position int) []byte {
	k := t.keys[position]
	return t.buf[k.from:k.to]
}

// place returns the position of a set of so many labels, added where it is not
// there, and whether it is new.
func (t *payloadGroups) place(hash uint32, key []byte, labels int) (position int, isNew bool) {
	n, ok := t.find(hash, key)
	if ok {
		return n, false
	}
	return t.add(hash, key, labels), true
}
