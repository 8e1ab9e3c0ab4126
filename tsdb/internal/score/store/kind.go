// Package store runs the stores that are compared, ours and the peers, each on
// loopback with a data folder of its own: how one is started, written to, asked,
// brought into its final form on disk, weighed, stopped and killed.
//
// The peers are programs found on the machine; nothing is fetched. Only the
// programs and tests below tsdb/internal/score may import it.
package store

import (
	"context"
	"net/url"
	"os"
	"os/exec"
)

// Kind is a program that keeps time series.
type Kind struct {
	Name    string
	Program string // its path

	args    func(dir, addr string) []string
	env     func(dir, addr string) []string            // nil for none
	prepare func(dir string) error                     // makes what must be there first; nil for nothing
	begin   func(ctx context.Context, s *Server) error // what is asked of it once it runs; nil for nothing
	ready   string                                     // answers 200 or 204 once it takes writes
	write   string                                     // where batches are posted
	encode  func(lines []byte) ([]byte, error)         // from line protocol; nil leaves it as it is
	headers map[string]string                          // of writes
	show    string                                     // asked, it shows all that it has taken; "" where it does anyway
	settle  func(ctx context.Context, s *Server) error
	sizes   func(dir string) (Sizes, error)

	uncached url.Values // asks it not to answer from a cache of results
	lookback string     // the parameter for how far back an instant looks
}

// Question is one query of the Prometheus API.
type Question struct {
	Path     string
	Params   url.Values
	Lookback string // how far back an instant looks, "" for the store's own way
	Uncached bool   // results that were kept from earlier questions do not count
}

// target returns path and parameters as the store wants them.
func (k *Kind) target(q Question) string {
	v := url.Values{}
	for name, values := range q.Params {
		v[name] = values
	}
	if q.Lookback != "" && k.lookback != "" {
		v.Set(k.lookback, q.Lookback)
	}
	if q.Uncached {
		for name, values := range k.uncached {
			v[name] = values
		}
	}
	return q.Path + "?" + v.Encode()
}

// Find looks for a program: at the path given, else in the environment
// variable, else under its names on PATH. It returns "" where there is none.
func Find(given, variable string, names ...string) string {
	if given == "" {
		given = os.Getenv(variable)
	}
	if given != "" {
		names = []string{given}
	}
	for _, n := range names {
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	return ""
}
