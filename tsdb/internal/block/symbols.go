package block

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"quantrac"
)

// symbols numbers the texts of an index as they come. What they are in the file is
// known only when all have come and are sorted: until then labels are kept as
// numbers of their own. A text may have several numbers: most texts come once, and
// those that come again are met among the latest, or, of labels, in the group before.
type symbols struct {
	seed   maphash.Seed
	texts  []string
	latest [1 << latestBits]struct{ hash, number uint32 } // one more than it is; 0 for none
	codes  []byte                                         // labels of the groups, in order: see labels

	last  []codedLabel // of the group before, which mostly shares some
	count int          // of them
}

// latestBits is by how many bits of its hash a text is found.
const latestBits = 12

type codedLabel struct {
	quantrac.Label
	name, value uint32
}

func newSymbols() symbols { return symbols{seed: maphash.MakeSeed()} }

// grow makes room for about so many groups, each with a label of its own.
func (s *symbols) grow(groups int) {
	s.texts = slices.Grow(s.texts, groups)
	s.codes = slices.Grow(s.codes, 7*groups)
}

func (s *symbols) number(text string) uint32 {
	hash := maphash.String(s.seed, text)
	at := &s.latest[hash>>(64-latestBits)]
	if at.number == 0 || at.hash != uint32(hash) || s.texts[at.number-1] != text {
		s.texts = append(s.texts, text)
		at.hash, at.number = uint32(hash), uint32(len(s.texts))
	}
	return at.number - 1
}

// labels keeps the labels of the next group: how many it shares with the group
// before, how many more there are, and of each of these its name and value.
func (s *symbols) labels(ls quantrac.Labels) {
	shared := 0
	for shared < s.count && shared < len(ls) && s.last[shared].Label == ls[shared] {
		shared++
	}
	s.codes = binary.AppendUvarint(s.codes, uint64(shared))
	s.codes = binary.AppendUvarint(s.codes, uint64(len(ls)-shared))
	for i := shared; i < len(ls); i++ {
		if i == len(s.last) {
			s.last = append(s.last, codedLabel{})
		}
		c := &s.last[i]
		if c.Name != ls[i].Name || c.Name == "" {
			c.name = s.number(ls[i].Name)
		}
		if c.Value != ls[i].Value || c.Value == "" {
			c.value = s.number(ls[i].Value)
		}
		c.Label = ls[i]
		s.codes = binary.AppendUvarint(s.codes, uint64(c.name))
		s.codes = binary.AppendUvarint(s.codes, uint64(c.value))
	}
	s.count = len(ls)
}

// numbered is a text that is being sorted by its first bytes, which lie with it,
// as far as these differ: fetching a million texts is what sorting them costs.
type numbered struct {
	word   uint64
	number uint32
}

// table writes the texts sorted, each once and behind what it shares with the one
// before. Then rank tells the place of each number.
func (s *symbols) table(dst []byte) (_ []byte, rank []uint32) {
	order := make([]numbered, len(s.texts))
	for i, text := range s.texts {
		order[i] = numbered{firstWord(text), uint32(i)}
	}
	slices.SortFunc(order, func(a, b numbered) int {
		if a.word != b.word {
			return cmp.Compare(a.word, b.word)
		}
		return cmp.Compare(s.texts[a.number], s.texts[b.number])
	})
	same := func(i int) bool {
		return i > 0 && order[i].word == order[i-1].word && s.texts[order[i].number] == s.texts[order[i-1].number]
	}
	rank = make([]uint32, len(order))
	count := 0
	for i := range order {
		if !same(i) {
			count++
		}
		rank[order[i].number] = uint32(count - 1)
	}
	dst = binary.AppendUvarint(dst, uint64(count))
	prev := ""
	for i := range order {
		if same(i) {
			continue
		}
		text := s.texts[order[i].number]
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

// firstWord returns the first bytes of a text, most significant first.
func firstWord(text string) uint64 {
	var b [8]byte
	copy(b[:], text)
	return binary.BigEndian.Uint64(b[:])
}

// ranked is a label by the places of its name and value.
type ranked struct{ name, value uint64 }

// codeReader reads back the labels that were kept, as their places.
type codeReader struct {
	codes []byte
	rank  []uint32

	labels, before []ranked // for reuse
	body           []byte
}

// next returns the labels of the next group, until it is called again, and how many
// of them the group before has too.
func (r *codeReader) next() (labels []ranked, shared int) {
	number := func() int {
		v, n := binary.Uvarint(r.codes)
		r.codes = r.codes[n:]
		return int(v)
	}
	shared = number()
	r.labels = r.labels[:shared]
	for range number() {
		r.labels = append(r.labels, ranked{uint64(r.rank[number()]), uint64(r.rank[number()])})
	}
	return r.labels, shared
}
