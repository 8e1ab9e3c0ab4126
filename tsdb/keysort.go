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
	word uint64 // of the first text of rest
	rest string // of the key
	id   uint32
}

// sortKeyed sorts groups as quantrac.Labels.Compare orders their labels.
func sortKeyed(list []keyed) {
	for len(list) > 1 {
		same := true
		for i := range list {
			list[i].word = firstWord(list[i].rest)
			same = same && list[i].word == list[0].word
		}
		if !same || !sameTexts(list) {
			slices.SortFunc(list, compareKeyed)
			break
		}
		if list[0].rest == "" {
			return
		}
		for i := range list {
			_, list[i].rest = cutText(list[i].rest)
		}
	}
	for len(list) > 1 {
		n := 1
		for n < len(list) && list[n].word == list[0].word && sameTexts(list[: n+1 : n+1][n-1:]) {
			n++
		}
		if n > 1 && list[0].rest != "" {
			for i := range n {
				_, list[i].rest = cutText(list[i].rest)
			}
			sortKeyed(list[:n])
		}
		list = list[n:]
	}
}

// sameTexts says whether keys begin with the same text, or are all at their end.
func sameTexts(list []keyed) bool {
	if list[0].rest == "" {
		return !slices.ContainsFunc(list, func(k keyed) bool { return k.rest != "" })
	}
	first, _ := cutText(list[0].rest)
	for _, k := range list[1:] {
		if k.rest == "" {
			return false
		}
		if text, _ := cutText(k.rest); text != first {
			return false
		}
	}
	return true
}

func compareKeyed(a, b keyed) int {
	if a.word != b.word {
		return cmp.Compare(a.word, b.word)
	}
	if a.rest == "" || b.rest == "" {
		return cmp.Compare(len(a.rest), len(b.rest))
	}
	x, _ := cutText(a.rest)
	y, _ := cutText(b.rest)
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
