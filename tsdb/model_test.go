package tsdb_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

// TestModel runs random scripts against the oracle. QUANTRAC_MODEL_SEEDS=N runs
// N of them, QUANTRAC_MODEL_FROM=M begins with seed M.
func TestModel(t *testing.T) {
	n, from := envInt(t, "QUANTRAC_MODEL_SEEDS", 40), envInt(t, "QUANTRAC_MODEL_FROM", 1)
	for seed := uint64(from); seed < uint64(from+n); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			tsdbtest.Model(t, seed, 60+int(seed%5)*60, func() tsdbtest.Subject {
				s := newSubject()
				s.seed = seed
				s.options = tsdb.Options{FlushBytes: []int64{0, 1 << 15, 1 << 17}[seed%3]}
				return s
			})
		})
	}
}

func envInt(t *testing.T, name string, missing int) int {
	text := os.Getenv(name)
	if text == "" {
		return missing
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
