package store

import (
	"context"
	"net/url"
	"path/filepath"
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
		settle: compactQuantrac, sizes: weighQuantrac,
	}
}

// BuildQuantrac builds the service of this module into dir.
func BuildQuantrac(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "quantrac")
	_, err := proc.Run(ctx, "go", "build", "-o", path, "quantrac/cmd/quantrac")
	return path, err
}

// compactQuantrac stops the service, has its store merged, and starts it again.
func compactQuantrac(ctx context.Context, s *Server) error {
	if err := s.Stop(); err != nil {
		return err
	}
	u, err := proc.Run(ctx, s.Program, "tsdb", "compact", "--data", s.Dir)
	if err != nil {
		return err
	}
	s.past = sum(s.past, u)
	_, err = s.Open()
	return err
}

// weighQuantrac counts the store's own files. The journal is not among them: it
// is let go of by what has been flushed.
func weighQuantrac(dir string) (Sizes, error) {
	return weigh(filepath.Join(dir, "tsdb"), func(path string) string {
		return strings.TrimPrefix(filepath.Ext(path), ".")
	})
}
