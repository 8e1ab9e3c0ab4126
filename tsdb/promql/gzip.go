package promql

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// gzipper compresses answers for who accepts it. Writers are kept for reuse:
// each holds a window of hundreds of kilobytes.
type gzipper struct{ pool sync.Pool }

func newGzip() *gzipper {
	return &gzipper{pool: sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
		return z
	}}}
}

func (g *gzipper) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if r.Method == http.MethodHead || !acceptsGzip(r.Header.Values("Accept-Encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		z := g.pool.Get().(*gzip.Writer)
		c := &compressed{ResponseWriter: w, z: z}
		next.ServeHTTP(c, r)
		if c.used {
			_ = z.Close() // an error here is the connection's: nobody is left to tell
		}
		g.pool.Put(z)
	})
}

// compressed starts compressing with the first byte of the body, so that an
// answer without one stays so.
type compressed struct {
	http.ResponseWriter
	z             *gzip.Writer
	headers, used bool
}

func (c *compressed) WriteHeader(status int) {
	if !c.headers && status != http.StatusNoContent && status != http.StatusNotModified {
		c.Header().Set("Content-Encoding", "gzip")
		c.Header().Del("Content-Length")
	}
	c.headers = true
	c.ResponseWriter.WriteHeader(status)
}

func (c *compressed) Write(b []byte) (int, error) {
	if !c.headers {
		c.WriteHeader(http.StatusOK)
	}
	if !c.used {
		c.used = true
		c.z.Reset(c.ResponseWriter)
	}
	return c.z.Write(b)
}

// acceptsGzip says whether the header lets gzip through: named, or by *, and
// not at quality 0.
func acceptsGzip(values []string) bool {
	accepted := false
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "gzip" && name != "x-gzip" && name != "*" {
				continue
			}
			ok := true
			if q, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q="); found {
				f, err := strconv.ParseFloat(q, 64)
				ok = err == nil && f > 0
			}
			if name != "*" {
				return ok
			}
			accepted = ok
		}
	}
	return accepted
}
