package codec

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/sections anew: only where no store has such sections yet")

const goldenFile = "testdata/sections"

// TestSectionsStay reads sections that were written once: what is on disk is
// read for ever, also where today's encoder writes something better.
func TestSectionsStay(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	data, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) < 20 {
		t.Fatalf("%d sections, want at least 20", len(lines))
	}
	for _, line := range lines {
		var kind, name, bytes string
		var n, every int
		var want uint32
		if _, err := fmt.Sscanf(line, "%s %s %d %d %x %s", &kind, &name, &n, &every, &want, &bytes); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		section, err := hex.DecodeString(bytes)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAny(kind, section, n, gapsOf(n, every))
		if err != nil || sumOf(got) != want {
			t.Errorf("%s %s: %v, other numbers than were written", kind, name, err)
		}
	}
}

func readAny(kind string, section []byte, n int, gaps []uint8) ([]int64, error) {
	switch kind {
	case "ints":
		return ReadGappedInts(nil, section, n, gaps)
	case "times":
		return ReadTimes(nil, section, n)
	case "beside":
		floats, _, err := ReadFloatsBeside(nil, section, n, nil, besideOf(n), nil)
		return bitsOf(floats), err
	}
	floats, _, err := ReadGappedFloats(nil, section, n, gaps, nil)
	return bitsOf(floats), err
}

func bitsOf(floats []float64) []int64 {
	var out []int64
	for _, v := range floats {
		out = append(out, int64(math.Float64bits(v)))
	}
	return out
}

func sumOf(vals []int64) uint32 {
	var b []byte
	for _, v := range vals {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return crc32.ChecksumIEEE(b)
}

func writeGolden(t *testing.T) {
	var s Small
	var b strings.Builder
	line := func(kind, name string, n, every int, sum uint32, section []byte) {
		fmt.Fprintf(&b, "%s %s %d %d %08x %x\n", kind, strings.ReplaceAll(name, " ", "-"), n, every, sum, section)
	}
	ints, floats, times := smallColumns(), smallFloatColumns(), timeColumns()
	for _, name := range slices.Sorted(maps.Keys(ints)) {
		v := ints[name]
		v = v[:min(len(v), 400)]
		for _, every := range []int{0, 11} {
			line("ints", name, len(v), every, sumOf(v), s.AppendInts(nil, v, gapsOf(len(v), every)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(floats)) {
		v := floats[name]
		v = v[:min(len(v), 400)]
		line("floats", name, len(v), 11, sumOf(bitsOf(v)), s.AppendFloats(nil, v, gapsOf(len(v), 11)))
	}
	for _, name := range []string{"follower", "ints/level", "ints/spikes"} {
		v := learntColumns()[name]
		v = v[:min(len(v), 400)]
		line("floats", "learnt/"+name, len(v), 0, sumOf(bitsOf(v)), s.AppendFloatsBeside(nil, v, nil, nil, 1<<30))
		line("beside", name, len(v), 0, sumOf(bitsOf(v)), s.AppendFloatsBeside(nil, v, []int{0, 1}, besideOf(len(v)), 1<<30))
	}
	for _, name := range slices.Sorted(maps.Keys(times)) {
		v := times[name]
		line("times", name, min(len(v), 900), 0, sumOf(v[:min(len(v), 900)]), s.AppendTimes(nil, v[:min(len(v), 900)]))
	}
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
