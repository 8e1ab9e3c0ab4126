package e2e

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// bucket is an S3-like service in the test's process that notes which pieces it
// has taken, and takes no more of them once it has most.
type bucket struct {
	srv  *httptest.Server
	full chan struct{} // closed when one more is sent than it takes
	free chan struct{} // closed by the test when it takes more again

	mu   sync.Mutex
	most int // 0 for any number
	put  map[string]int
	cond *sync.Cond
	kept int // of those put, how many are stored
}

func newBucket(t *testing.T, most int) *bucket {
	t.Helper()
	store := s3mem.New()
	if err := store.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	b := &bucket{put: map[string]int{}, most: most, full: make(chan struct{}), free: make(chan struct{})}
	b.cond = sync.NewCond(&b.mu)
	next := gofakes3.New(store, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	b.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/pieces/") {
			next.ServeHTTP(w, r)
			return
		}
		if !b.takes(r.URL.Path) {
			return
		}
		next.ServeHTTP(w, r)
		b.mu.Lock()
		b.kept++
		b.mu.Unlock()
		b.cond.Broadcast()
	}))
	b.srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	b.srv.Start()
	t.Cleanup(b.srv.Close)
	return b
}

// takes says whether a piece is taken; where not, it waits until the others are
// stored and the test has said so.
func (b *bucket) takes(path string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.most == 0 || len(b.put) < b.most {
		b.put[path]++
		return true
	}
	for b.kept < len(b.put) {
		b.cond.Wait()
	}
	select {
	case <-b.full:
	default:
		close(b.full)
	}
	b.mu.Unlock()
	<-b.free
	b.mu.Lock()
	return false
}

func (b *bucket) env() []string {
	return []string{
		"QUANTRAC_BACKUP_TO=s3://bucket/centre", "QUANTRAC_BACKUP_S3_ENDPOINT=" + b.srv.URL,
		"QUANTRAC_BACKUP_S3_ACCESS_KEY=the-key", "QUANTRAC_BACKUP_S3_SECRET_KEY=geheim",
	}
}
