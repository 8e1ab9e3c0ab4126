package block

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"quantrac"
	"quantrac/tsdb/internal/hashed"
)

// symbols numbers the texts of an index as they come. What they are in the file is
// known only when all have come and are sorted: until then labels are kept as
// numbers of their own.
type symbols struct {
	seed  maphash.Seed
	by    hashed.Table
	texts []string
	codes []byte // labels of the groups, in order: their count, name and value of each

	last []codedLabel // of the group before, which mostly shares some
}

type codedLabel struct {
	quantrac.Label
	name, value uint32
}

func newSymbols() symbols { return symbols{seed: maphash.MakeSeed()} }

// grow makes room for about so many groups, each with a label of its own.
func (s *symbols) grow(groups int) {
	s.by.Grow(groups)
	s.texts = slices.Grow(s.texts, groups)
	s.codes = slices.Grow(s.codes, 10*groups)
}

func (s *symbols) number(text string) uint32 {
	hash := uint32(maphash.String(s.seed, text))
	n, ok := s.by.Find(hash, func(n uint32) bool { return s.texts[n] == text })
	if !ok {
		n = uint32(len(s.texts))
		s.by.Add(hash, n)
		s.texts = append(s.texts, text)
	}
	return n
}

// labels keeps the labels of the next group.
func (s *symbols) labels(ls quantrac.Labels) {
	s.codes = binary.AppendUvarint(s.codes, uint64(len(ls)))
	for i, l := range ls {
		if i == len(s.last) {
			s.last = append(s.last, codedLabel{})
		}
		c := &s.last[i]
		if c.Name != l.Name || c.Name == "" {
			c.Name, c.name = l.Name, s.number(l.Name)
		}
		if c.Value != l.Value || c.Value == "" {
			c.Value, c.value = l.Value, s.number(l.Value)
		}
		s.codes = binary.AppendUvarint(s.codes, uint64(c.name))
		s.codes = binary.AppendUvarint(s.codes, uint64(c.value))
	}
}

// table writes the texts sorted, each behind what it shares with the one before.
// Then rank tells the place of each number.
func (s *symbols) table(dst []byte) (_ []byte, rank []uint64) {
	order := make([]uint32, len(s.texts))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Compare(s.texts[a], s.texts[b])
	})
	rank = make([]uint64, len(order))
	dst = binary.AppendUvarint(dst, uint64(len(order)))
	prev := ""
	for place, number := range order {
		rank[number] = uint64(place)
		text := s.texts[number]
		n := 0
		for n < len(prev) && n < len(text) && prev[n] == text[n] {
			n++
		}
		dst = binary.AppendUvarint(dst, uint64(n))
		dst = appendString(dst, text[n:])
		prev = text
	}
	return dst, rank
}

// ranked is a label by the places of its name and value.
type ranked struct{ name, value uint64 }

// codeReader reads back the labels that were kept, as their places.
type codeReader struct {
	codes []byte
	rank  []uint64

	labels, before []ranked // for reuse
	body           []byte
}

// next returns the labels of the next group, until it is called again.
func (r *codeReader) next() []ranked {
	number := func() uint64 {
		v, n := binary.Uvarint(r.codes)
		r.codes = r.codes[n:]
		return v
	}
	r.labels = r.labels[:0]
	for range number() {
		r.labels = append(r.labels, ranked{r.rank[number()], r.rank[number()]})
	}
	return r.labels
}
