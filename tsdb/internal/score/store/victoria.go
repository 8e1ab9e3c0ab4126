package store

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Names of VictoriaMetrics in tables: as it comes, and without its index by day.
const (
	Victoria     = "VictoriaMetrics"
	VictoriaLean = "VictoriaMetrics -disablePerDayIndex"
)

// VictoriaMetrics is VictoriaMetrics, as it comes but for how long it keeps data.
func VictoriaMetrics(program string) *Kind { return victoria(Victoria, program) }

// VictoriaMetricsLean is VictoriaMetrics without its index by day.
func VictoriaMetricsLean(program string) *Kind {
	return victoria(VictoriaLean, program, "-disablePerDayIndex")
}

func victoria(name, program string, flags ...string) *Kind {
	return &Kind{
		Name: name, Program: program,
		args: func(dir, addr string) []string {
			return append([]string{"-storageDataPath", dir, "-httpListenAddr", addr, "-retentionPeriod", "100y"}, flags...)
		},
		ready: "/health", write: "/write", show: "/internal/force_flush",
		uncached: url.Values{"nocache": {"1"}}, lookback: "max_lookback",
		settle: mergeVictoria, sizes: weighVictoria,
	}
}

// mergeVictoria merges what is on disk, twice: the second time finds what the
// first one left. What is in memory goes to disk by itself, after some seconds.
func mergeVictoria(ctx context.Context, s *Server) error {
	if err := s.Show(); err != nil {
		return err
	}
	for _, part := range []string{"storage", "indexdb"} {
		if err := s.until(ctx, fmt.Sprintf("vm_data_size_bytes{type=%q}", part+"/inmemory"), 0); err != nil {
			return err
		}
	}
	for range 2 {
		if _, err := s.get(ctx, "/internal/force_merge"); err != nil {
			return err
		}
		if err := s.until(ctx, "vm_active_force_merges", 0); err != nil {
			return err
		}
	}
	return s.still(ctx, 3)
}

// until waits for a metric to have a value.
func (s *Server) until(ctx context.Context, metric string, want float64) error {
	for {
		v, err := s.Metric(metric)
		if err != nil || v == want {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// weighVictoria counts data and index; caches that are written at the end are
// neither.
func weighVictoria(dir string) (Sizes, error) {
	return weigh(dir, func(path string) string {
		switch {
		case strings.HasPrefix(path, "data/indexdb/"), strings.HasPrefix(path, "indexdb/"):
			return "indexdb"
		case !strings.HasPrefix(path, "data/"):
			return ""
		case strings.HasSuffix(path, "/values.bin"):
			return "values"
		case strings.HasSuffix(path, "/timestamps.bin"):
			return "times"
		}
		return "block index"
	})
}
