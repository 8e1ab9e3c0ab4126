package main

import (
	"os"
	"path/filepath"
	"testing"

	"quantrac/tsdb"
)

func TestMachineMemory(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	info := file("meminfo", "MemFree:   1 kB\nMemTotal:       2097152 kB\nBuffers: 7 kB\n")
	for _, tt := range []struct {
		meminfo, cgroup string
		want            int64
	}{
		{info, filepath.Join(dir, "none"), 2 << 30},
		{info, file("max", "max\n"), 2 << 30},
		{info, file("small", "536870912\n"), 512 << 20},
		{info, file("large", "99999999999999\n"), 2 << 30},
		{filepath.Join(dir, "none"), filepath.Join(dir, "none"), 4 << 30},
		{file("odd", "MemTotal:\nMemTotal: many\n"), filepath.Join(dir, "none"), 4 << 30},
	} {
		if got := machineMemory(tt.meminfo, tt.cgroup); got != tt.want {
			t.Errorf("%s and %s: %d, want %d", tt.meminfo, tt.cgroup, got, tt.want)
		}
	}
}

// Whatever the limit, what the store is given of it is less.
func TestMemoryShare(t *testing.T) {
	if few, many := touchedSeries(leastMemory), touchedSeries(64<<30); few != 100_000 || many != 2<<20 {
		t.Errorf("a query may touch %d series with little memory, %d with much", few, many)
	}
	for _, limit := range []int64{leastMemory, 512 << 20, 4 << 30, 64 << 30} {
		var o tsdb.Options
		memoryShare(&o, limit)
		sum := 4*o.FlushBytes + int64(o.DayBytes+o.ColumnBytes+o.FoldBytes) + int64(o.MaxSeries)*512 + 16*int64(heldSamples(limit))
		if sum > limit || o.FlushBytes == 0 || o.MaxSeries == 0 {
			t.Errorf("of %d the store may take %d: %+v", limit, sum, o)
		}
	}
}

func TestHeadroom(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{{0, 100}, {10 << 20, 100}, {48 << 20, 100}, {96 << 20, 50}, {1 << 30, 20}} {
		if got := headroom(tt.live); got != tt.want {
			t.Errorf("%d bytes live: %d %%, want %d", tt.live, got, tt.want)
		}
	}
}
