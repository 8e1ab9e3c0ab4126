package block

import (
	"encoding/binary"
	"slices"

	"quantrac"
)

// symbols numbers the texts of an index as they come. What they are in the file is
// known only when all have come and are sorted: until then labels are kept as
// numbers of their own.
type symbols struct {
	numbers map[string]uint32
	texts   []string
	codes   []byte // labels of the groups, in order: their count, name and value of each
}

func (s *symbols) number(text string) uint32 {
	n, ok := s.numbers[text]
	if !ok {
		if s.numbers == nil {
			s.numbers = map[string]uint32{}
		}
		n = uint32(len(s.texts))
		s.numbers[text] = n
		s.texts = append(s.texts, text)
	}
	return n
}

// labels keeps the labels of the next group.
func (s *symbols) labels(ls quantrac.Labels) {
	s.codes = binary.AppendUvarint(s.codes, uint64(len(ls)))
	for _, l := range ls {
		s.codes = binary.AppendUvarint(s.codes, uint64(s.number(l.Name)))
		s.codes = binary.AppendUvarint(s.codes, uint64(s.number(l.Value)))
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
		if s.texts[a] < s.texts[b] {
			return -1
		}
		return 1
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
}

func (r *codeReader) next(dst []ranked) []ranked {
	number := func() uint64 {
		v, n := binary.Uvarint(r.codes)
		r.codes = r.codes[n:]
		return v
	}
	dst = dst[:0]
	for range number() {
		dst = append(dst, ranked{r.rank[number()], r.rank[number()]})
	}
	return dst
}
