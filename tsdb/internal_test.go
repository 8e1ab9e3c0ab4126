package tsdb

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"quantrac"
)

// SealManifest gives a manifest's text its checksum, for tests that write one.
func SealManifest(doc string) []byte {
	return fmt.Appendf([]byte(doc), "\ncrc32c %08x\n", crc32.Checksum([]byte(doc), castagnoli))
}

// A civil day at +07:00 lies in one partition.
func TestPartitionOf(t *testing.T) {
	for _, at := range []quantrac.Millis{0, -1, 1, 1_793_000_000_000, 1_793_552_400_000, -40_000_000_000_000, quantrac.MinMillis, quantrac.MaxMillis} {
		for day := range quantrac.Millis(70) {
			from, to := (at + day*86_400_000).Day()
			a, last := partitionOf(int64(from))
			b, _ := partitionOf(int64(to - 1))
			if a != b || last != a+partitionLen-1 || int64(from) < a || int64(to-1) > last {
				t.Fatalf("day from %v lies in partitions from %d and %d", from, a, b)
			}
		}
	}
}

// Series are ordered as their labels are, wherever the metric's name stands among
// them.
func TestSeriesOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	random := func() target {
		var pairs []string
		for _, name := range []string{"A", "Z", "__a", "_b", "station", "z"} {
			if rnd.IntN(2) == 0 {
				pairs = append(pairs, name, string(rune('a'+rnd.IntN(2))))
			}
		}
		return target{g: &group{key: quantrac.NewLabels(pairs...).Key()}, s: &series{metric: &metric{string(rune('p' + rnd.IntN(2)))}}}
	}
	for range 20_000 {
		a, b := random(), random()
		if got, want := a.compare(b), a.labels().Compare(b.labels()); got != want {
			t.Fatalf("%v and %v: %d, want %d", a.labels(), b.labels(), got, want)
		}
		if got, want := compareKeys(a.g.key, b.g.key), a.g.labels().Compare(b.g.labels()); got != want {
			t.Fatalf("groups %v and %v: %d, want %d", a.g.labels(), b.g.labels(), got, want)
		}
	}
}

// A million groups of one series each are what memory is for: a word more in one
// goes up to the next size of the allocator.
func TestGroupSize(t *testing.T) {
	if n := unsafe.Sizeof(group{}); n > 120 {
		t.Errorf("a group takes %d bytes, want 120", n)
	}
	if n := unsafe.Sizeof(headGroup{}); n > 80 {
		t.Errorf("a group in the head takes %d bytes, want 80", n)
	}
}

// Groups come out sorted by their labels, whatever came when.
func TestGroupOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(10, 10))
	var groups groupTable
	var o groupOrder
	var all []uint32
	for _, n := range []int{1, 900, 3, 0, 40, 900} {
		for range n {
			labels := quantrac.NewLabels("a", strings.Repeat("x", rnd.IntN(12)), "basin of the", fmt.Sprint(rnd.IntN(90)), "b", fmt.Sprint(rnd.Uint64()))
			if rnd.IntN(5) == 0 {
				labels = labels[:rnd.IntN(len(labels))]
			}
			id := groups.make([]byte(labels.Key())).id
			o.add(id)
			all = append(all, id)
		}
		o.remove(&groups, all[:n/9])
		all = all[n/9:]
		rnd.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		got := slices.Clone(all)
		o.sort(&groups, got)
		want := slices.Clone(all)
		slices.SortFunc(want, func(a, b uint32) int { return groups.at(a).labels().Compare(groups.at(b).labels()) })
		keys := func(ids []uint32) (out []string) { // some are there more than once
			for _, id := range ids {
				out = append(out, groups.at(id).key)
			}
			return out
		}
		if !slices.Equal(keys(got), keys(want)) || len(o.sorted) != len(all) {
			t.Fatalf("%d groups, %d in order: got %v, want %v", len(all), len(o.sorted), got, want)
		}
	}
}

func FuzzManifest(f *testing.F) {
	m := manifest{Version: 1, Flushed: 7, Next: 3, Blocks: []string{"00000001.block"}}
	data, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(SealManifest(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeManifest(data)
		if err != nil {
			// Also what is well-formed but for its checksum.
			if m, err = decodeManifest(SealManifest(string(data))); err != nil {
				return
			}
		}
		again, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := decodeManifest(again); err != nil || fmt.Sprint(n) != fmt.Sprint(m) {
			t.Fatalf("%+v, %v; want %+v", n, err, m)
		}
	})
}
