package tsdb

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// keyed is a group that is being sorted by its key: text by text, and each text by
// its first bytes, which lie with the group, as long as these differ. What sorting
// a million keys costs is fetching them from memory.
type keyed struct {
	word uint64 // of the text at hand
	id   uint32
	at   uint32 // where that begins in the key
}

// rest returns the texts of the key that have not been compared.
func (k *keyed) rest(groups *groupTable) string { return groups.at(k.id).key[k.at:] }

// skip goes on to the next text.
func (k *keyed) skip(groups *groupTable) {
	key := k.rest(groups)
	_, rest := cutText(key)
	k.at += uint32(len(key) - len(rest))
}

// sortKeyed sorts groups as quantrac.Labels.Compare orders their labels.
func sortKeyed(groups *groupTable, list []keyed) {
	for len(list) > 1 {
		same := true
		for i := range list {
			list[i].word = firstWord(list[i].rest(groups))
			same = same && list[i].word == list[0].word
		}
		if !same || !sameTexts(groups, list) {
			slices.SortFunc(list, func(a, b keyed) int { return compareKeyed(groups, a, b) })
			break
		}
		if list[0].rest(groups) == "" {
			return
		}
		for i := range list {
			list[i].skip(groups)
		}
	}
	for len(list) > 1 {
		n := 1
		for n < len(list) && list[n].word == list[0].word && sameTexts(groups, list[n-1:n+1]) {
			n++
		}
		if n > 1 && list[0].rest(groups) != "" {
			for i := range n {
				list[i].skip(groups)
			}
			sortKeyed(groups, list[:n])
		}
		list = list[n:]
	}
}

// sameTexts says whether keys go on with the same text, or are all at their end.
func sameTexts(groups *groupTable, list []keyed) bool {
	rest := list[0].rest(groups)
	if rest == "" {
		return !slices.ContainsFunc(list, func(k keyed) bool { return k.rest(groups) != "" })
	}
	first, _ := cutText(rest)
	for _, k := range list[1:] {
		rest := k.rest(groups)
		if rest == "" {
			return false
		}
		if text, _ := cutText(rest); text != first {
			return false
		}
	}
	return true
}

func compareKeyed(groups *groupTable, a, b keyed) int {
	if a.word != b.word {
		return cmp.Compare(a.word, b.word)
	}
	x, y := a.rest(groups), b.rest(groups)
	if x == "" || y == "" {
		return cmp.Compare(len(x), len(y))
	}
	x, _ = cutText(x)
	y, _ = cutText(y)
	return strings.Compare(x, y)
}

// firstWord returns the first bytes of the first text of a key, most significant
// first.
func firstWord(key string) uint64 {
	if key == "" {
		return 0
	}
	text, _ := cutText(key)
	var b [8]byte
	copy(b[:], text)
	return binary.BigEndian.Uint64(b[:])
}
