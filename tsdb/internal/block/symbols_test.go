package block

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"quantrac"
)

// Texts stand in the table once and sorted, and the labels of every group are those
// that came, also where texts come again when they have been forgotten.
func TestSymbols(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	s := newSymbols()
	var all []quantrac.Labels
	distinct := map[string]bool{}
	for i := range 20_000 {
		labels := quantrac.NewLabels("a", fmt.Sprint(i/9_000), "b", fmt.Sprint("some long text ", rnd.IntN(9_000)), "c", fmt.Sprint(rnd.IntN(20)), "d", fmt.Sprint(rnd.Uint64()))
		labels = labels[:rnd.IntN(len(labels)+1)]
		s.labels(labels)
		all = append(all, labels)
		for _, l := range labels {
			distinct[l.Name], distinct[l.Value] = true, true
		}
	}
	if len(s.texts) == len(distinct) {
		t.Error("no text has been forgotten")
	}
	table, rank := s.table(nil)
	n, width := binary.Uvarint(table)
	texts := readTexts(t, int(n), table[width:])
	if !slices.IsSorted(texts) || len(texts) != len(distinct) {
		t.Fatalf("%d texts, sorted %v, want %d", len(texts), slices.IsSorted(texts), len(distinct))
	}
	r := codeReader{codes: s.codes, rank: rank}
	for i, want := range all {
		labels, shared := r.next()
		var got quantrac.Labels
		for _, l := range labels {
			got = append(got, quantrac.Label{Name: texts[l.name], Value: texts[l.value]})
		}
		if got.Compare(want) != 0 || i > 0 && shared > 0 && all[i-1][shared-1] != want[shared-1] {
			t.Fatalf("group %d: %v sharing %d, want %v", i, got, shared, want)
		}
	}
}

func readTexts(t *testing.T, n int, data []byte) (texts []string) {
	t.Helper()
	var text []byte
	for range n {
		shared, a := binary.Uvarint(data)
		rest, b := binary.Uvarint(data[a:])
		data = data[a+b:]
		text = append(text[:shared], data[:rest]...)
		data = data[rest:]
		texts = append(texts, string(text))
	}
	if len(data) > 0 {
		t.Fatalf("%d bytes after the last text", len(data))
	}
	return texts
}
