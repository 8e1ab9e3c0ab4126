package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"quantrac/tsdb/internal/score/proc"
)

// Ours is the name of our own service in tables.
const Ours = "Quantrac"

// Quantrac is our service. Results are not kept when nocache=1 asks so.
func Quantrac(program string) *Kind {
	return &Kind{
		Name: Ours, Program: program,
		args: func(dir, addr string) []string {
			return []string{"serve", "--data", dir, "--http", addr, "--mqtt", "off", "--dev", "--log-level", "warn"}
		},
		ready: "/-/ready", write: "/write?db=load",
		uncached: url.Values{"nocache": {"1"}}, lookback: "lookback_delta",
		settle: compactQuantrac, sizes: weighQuantrac(program),
	}
}

// BuildQuantrac builds the service of this module into dir.
func BuildQuantrac(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "quantrac")
	_, err := proc.Run(ctx, "go", "build", "-o", path, "quantrac/cmd/quantrac")
	return path, err
}

// compactQuantrac stops the service and has its store merged.
func compactQuantrac(ctx context.Context, s *Server) error {
	if err := s.Stop(); err != nil {
		return err
	}
	u, err := proc.Run(ctx, s.Program, "tsdb", "compact", "--data", s.Dir)
	if err != nil {
		return err
	}
	s.past = sum(s.past, u)
	return nil
}

// weighQuantrac counts the store's own files, by what their parts are for as the
// store itself says. The journal is not among them: it is let go of by what has
// been flushed.
func weighQuantrac(program string) func(dir string) (Sizes, error) {
	return func(dir string) (Sizes, error) {
		all, err := weigh(filepath.Join(dir, "tsdb"), func(string) string { return "other" })
		if err != nil {
			return all, err
		}
		text, err := exec.Command(program, "tsdb", "stats", "--json", "--data", dir).Output()
		if err != nil {
			return all, fmt.Errorf("%s tsdb stats: %w", program, err)
		}
		return divide(all.Total(), text)
	}
}

// divide splits a total by what the store says its parts take.
func divide(total int64, stats []byte) (out Sizes, err error) {
	var doc struct {
		Sizes map[string]json.RawMessage
	}
	if err := json.Unmarshal(stats, &doc); err != nil {
		return out, err
	}
	rest := total
	for _, name := range slices.Sorted(maps.Keys(doc.Sizes)) {
		var n int64
		if json.Unmarshal(doc.Sizes[name], &n) == nil { // what is no number is said of something else
			out.add(strings.ToLower(name), n)
			rest -= n
		}
	}
	out.add("other", rest)
	if rest < 0 {
		err = fmt.Errorf("the parts of the store are said to take %d bytes more than its files", -rest)
	}
	return out, err
}
