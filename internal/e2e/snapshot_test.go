package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A snapshot is made by the command line while the service takes readings; it
// opens as a data folder of its own, with everything that was acknowledged
// before, its stations and accounts, and what the service is told afterwards it
// does not know.
func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	cut := filepath.Join(dir, "snapshots", "cut-short.partial")
	if err := os.MkdirAll(cut, 0o750); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, "--dev", "--mqtt", "off")
	if _, err := os.Stat(cut); !os.IsNotExist(err) {
		t.Errorf("what a snapshot that was cut short has left is there: %v", err)
	}
	s.must("PUT", "/api/registry/stations/tq", "application/json", `{"id": "tq", "family": "gauge", "facts": [{"name": "Tân Quới"}]}`, http.StatusOK)
	now := time.Now().Add(-time.Hour).UnixMilli()
	var taken atomic.Int64
	line := func(i int64) string { return fmt.Sprintf("w,station=s%d level=%d %d\n", i%20, i, now+i) }
	write := func() {
		i := taken.Load()
		if got := s.nobody().write(line(i)); got.status != http.StatusNoContent {
			t.Errorf("write: %d %s", got.status, got.body)
		}
		taken.Add(1)
	}
	for range 50 {
		write()
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				write()
			}
		}
	}()
	before := taken.Load()
	r := quantracRun(t, nil, "snapshot", "create", "--http", s.http, "--name", "first", "--json")
	var made struct {
		Name, Path string
		Commit     uint64
	}
	if err := json.Unmarshal([]byte(r.stdout), &made); r.code != 0 || err != nil || made.Name != "first" || made.Commit == 0 {
		t.Fatalf("create: status %d, %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	close(stop)
	<-stopped
	if r := quantracRun(t, nil, "snapshot", "create", "--http", s.http, "--name", "first"); r.code != 1 || !strings.Contains(r.stderr, "there is a snapshot first already") {
		t.Errorf("the same name again: status %d, %s", r.code, r.stderr)
	}
	if r := quantracRun(t, nil, "snapshot", "create", "--http", s.http, "--name", "../x"); r.code != 1 || !strings.Contains(r.stderr, "snapshot name") {
		t.Errorf("a name that is a path: status %d, %s", r.code, r.stderr)
	}
	after := taken.Load()
	for range 50 {
		write()
	}

	c := start(t, made.Path, "--dev", "--mqtt", "off")
	res, err := c.query("/api/v1/query", `sum(count_over_time(w_level[2h]))`)
	if err != nil || len(res) != 1 {
		t.Fatal(res, err)
	}
	var n int64
	if _, err := fmt.Sscan(fmt.Sprint(res[0].Value[1]), &n); err != nil || n < before || n > after {
		t.Errorf("%v readings in the snapshot, want %d to %d: %v", res[0].Value[1], before, after, err)
	}
	if body := c.must("GET", "/api/registry/stations/tq", "", "", http.StatusOK); !strings.Contains(string(body), "Tân Quới") {
		t.Errorf("station: %s", body)
	}
	c.stop()

	if r := quantracRun(t, nil, "snapshot", "list", "--http", s.http); r.code != 0 || !strings.Contains(r.stdout, made.Path) {
		t.Errorf("list: status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if r := quantracRun(t, nil, "snapshot", "delete", "--http", s.http, "first"); r.code != 0 {
		t.Errorf("delete: status %d\n%s", r.code, r.stderr)
	}
	if r := quantracRun(t, nil, "snapshot", "delete", "--http", s.http, "first"); r.code != 1 || !strings.Contains(r.stderr, "no snapshot") {
		t.Errorf("delete again: status %d\n%s", r.code, r.stderr)
	}
	if r := quantracRun(t, nil, "snapshot", "list", "--http", s.http, "--json"); strings.TrimSpace(r.stdout) != "[]" {
		t.Errorf("list of none: %q", r.stdout)
	}
}
