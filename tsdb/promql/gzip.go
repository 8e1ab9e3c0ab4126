package promql

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// gzipper compresses answers for who accepts it. Writers are kept for reuse:
// each holds a window of hundreds of kilobytes.
type gzipper struct{ pool sync.Pool } // of *compressed

func newGzip() *gzipper {
	return &gzipper{pool: sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
		return &compressed{z: z}
	}}}
}

func (g *gzipper) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if r.Method == http.MethodHead || !acceptsGzip(r.Header.Values("Accept-Encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		c := g.pool.Get().(*compressed)
		c.ResponseWriter = w
		next.ServeHTTP(c, r)
		c.close()
		g.pool.Put(c)
	})
}

// compressed starts compressing with the first byte of the body, so that an
// answer without one stays so. One whose length is told is written at once, and its
// compressed length told instead.
type compressed struct {
	http.ResponseWriter
	z      *gzip.Writer
	whole  bytes.Buffer // what is to be written at once
	status int          // of an answer that waits for its body; else 0
	used   bool         // for this one: headers have been written, or wait
	body   bool         // and bytes of a body come
}

// WriteHeader implements http.ResponseWriter.
func (c *compressed) WriteHeader(status int) {
	if c.used {
		c.ResponseWriter.WriteHeader(status) // which complains
		return
	}
	c.used = true
	if status != http.StatusNoContent && status != http.StatusNotModified {
		c.Header().Set("Content-Encoding", "gzip")
		if c.Header().Get("Content-Length") != "" {
			c.Header().Del("Content-Length")
			c.status = status
			return
		}
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *compressed) Write(b []byte) (int, error) {
	if !c.used {
		c.WriteHeader(http.StatusOK)
	}
	if !c.body {
		c.body = true
		if c.status != 0 {
			c.z.Reset(&c.whole)
		} else {
			c.z.Reset(c.ResponseWriter)
		}
	}
	return c.z.Write(b)
}

// close sends what is left and forgets the answer. An error here is the connection's:
// nobody is left to tell.
func (c *compressed) close() {
	if c.body {
		_ = c.z.Close()
	}
	if c.status != 0 {
		setLength(c, c.whole.Len())
		c.ResponseWriter.WriteHeader(c.status)
		_, _ = c.ResponseWriter.Write(c.whole.Bytes())
	}
	c.whole.Reset()
	*c = compressed{z: c.z, whole: c.whole}
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
