package main

import (
	"bufio"
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"quantrac/tsdb"
)

// leastMemory is what the service can do its work in.
const leastMemory = 128 << 20

// memoryShare is what the store may take of the memory the process is to keep to:
// rows that wait to be flushed four times FlushBytes at the most, three caches, and
// series of about half a KiB, with what the garbage collector leaves beside them.
func memoryShare(o *tsdb.Options, limit int64) {
	part := min(max(limit/32, 4<<20), 64<<20)
	o.FlushBytes = part
	o.DayBytes, o.ColumnBytes, o.FoldBytes = int(part), int(part), int(part)
	o.MaxSeries = int(limit / 1024)
}

// heldSamples is how many samples, of 16 bytes, queries may hold of the memory that
// the process is to keep to: a quarter.
func heldSamples(limit int64) int { return int(limit / 4 / 16) }

// touchedSeries is how many series one query may touch: 100,000, and more where the
// process is to keep to more than 3 GiB, one for each 32 KiB.
func touchedSeries(limit int64) int { return int(max(100_000, limit/(32<<10))) }

// memoryLimit is how many bytes of memory the process is to keep to: those set,
// or else half of what the machine, or its share of it, has.
func memoryLimit(set int64) int64 {
	if set > 0 {
		return set
	}
	return max(machineMemory("/proc/meminfo", "/sys/fs/cgroup/memory.max")/2, leastMemory)
}

// machineMemory reads how much memory there is, as Linux tells it; 4 GiB where it
// does not.
func machineMemory(meminfo, cgroup string) int64 {
	most := int64(4 << 30)
	if f, err := os.Open(meminfo); err == nil {
		for lines := bufio.NewScanner(f); lines.Scan(); {
			part := strings.Fields(lines.Text())
			if len(part) < 2 || part[0] != "MemTotal:" {
				continue
			}
			if kib, err := strconv.ParseInt(part[1], 10, 64); err == nil {
				most = kib << 10
			}
			break
		}
		_ = f.Close() // it was only read
	}
	if text, err := os.ReadFile(cgroup); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 { // or max
			most = min(most, n)
		}
	}
	return most
}

// limitMemory has the garbage collector keep the process to a limit. GOMEMLIMIT in
// the environment comes first.
func limitMemory(limit int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
}

// spareMemory has the garbage collector run the sooner the more there is to keep:
// twice the memory is little of a small store, and much of a large one. GOGC in the
// environment comes first.
func spareMemory(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		<-ctx.Done()
		return ctx.Err()
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for set := 0; ; {
		metrics.Read(live)
		if p := headroom(live[0].Value.Uint64()); p < set-5 || p > set+5 {
			debug.SetGCPercent(p)
			set = p
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// headroom is by how much memory may grow, in percent of what lives, before the
// garbage collector runs: by 48 MiB, within limits.
func headroom(live uint64) int {
	return int(min(max(100*(48<<20)/max(live, 1), 20), 100))
}
