package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// backedUp runs a verb of backup that has to go well.
func backedUp(t *testing.T, env []string, args ...string) ran {
	t.Helper()
	got := quantracRun(t, env, append([]string{"backup"}, args...)...)
	if got.code != 0 {
		t.Fatalf("backup %s: status %d\n%s%s", strings.Join(args, " "), got.code, got.stdout, got.stderr)
	}
	return got
}

// load writes readings to a service until it is stopped, and notes what was
// acknowledged.
type load struct {
	t    *testing.T
	l    ledger
	stop func()
}

func startLoad(t *testing.T, s *service, writers int) *load {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	w := &load{t: t, l: ledger{acked: map[string]map[int64]float64{}}, stop: func() { cancel(); wg.Wait() }}
	for i := range writers {
		wg.Go(func() {
			writeAll(ctx, s.http, fmt.Sprintf("backup_%d", i), time.Now().Add(-55*time.Minute).UnixMilli(), &w.l)
		})
	}
	t.Cleanup(w.stop)
	return w
}

// acked returns what has been acknowledged until now.
func (w *load) acked() *ledger {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	out := &ledger{acked: map[string]map[int64]float64{}, n: w.l.n}
	for station, values := range w.l.acked {
		out.acked[station] = maps.Clone(values)
	}
	return out
}

// more waits until some more readings are acknowledged.
func (w *load) more(some int) {
	w.t.Helper()
	want := w.acked().n + some
	eventually(w.t, "readings taken", func() error {
		if n := w.acked().n; n < want {
			return fmt.Errorf("%d of %d", n, want)
		}
		return nil
	})
}

// killShipping starts a backup, kills it when the bucket takes no more, lets
// the bucket take more, and returns what it had taken.
func killShipping(t *testing.T, b *bucket, env []string) map[string]int {
	t.Helper()
	cmd := exec.Command(quantracBinary(t), "backup", "create")
	cmd.Env = append(os.Environ(), env...)
	client := spawnCommand(t, cmd)
	select {
	case <-b.full:
	case <-client.done:
		t.Fatalf("the client ended: %s", client.log)
	case <-time.After(patience):
		t.Fatal("the client ships nothing")
	}
	client.kill()
	close(b.free)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most = 0
	return maps.Clone(b.put)
}

// TestBackupKilled backs a service up while it takes readings. The client is
// killed in the middle; the next one ships only what is missing, clears away
// what the first has left, and what is restored holds all that was acknowledged
// before it began.
func TestBackupKilled(t *testing.T) {
	t.Parallel()
	const first = 4
	s := start(t, t.TempDir(), "--dev", "--mqtt", "off")
	w := startLoad(t, s, 4)
	w.more(2000)
	b := newBucket(t, first)
	env := append(b.env(), "QUANTRAC_URL="+s.http)
	before := killShipping(t, b, env)
	if got := quantracRun(t, env, "backup", "list"); got.code != 0 || strings.Count(got.stdout, "\n") != 2 {
		t.Errorf("a backup that was killed is listed: %s%s", got.stdout, got.stderr)
	}
	if got := quantracRun(t, env, "snapshot", "list"); !strings.Contains(got.stdout, "backup-") {
		t.Errorf("the snapshot of the backup that was killed: %s%s", got.stdout, got.stderr)
	}
	w.more(200)
	want := w.acked()
	backedUp(t, env, "create", "--name", "whole")
	b.mu.Lock()
	fresh := len(b.put) - len(before)
	for path := range before {
		if b.put[path] != 1 {
			t.Errorf("%s was shipped %d times", path, b.put[path])
		}
	}
	b.mu.Unlock()
	if len(before) != first || fresh < 3 {
		t.Errorf("%d pieces were shipped before the kill, %d after it", len(before), fresh)
	}
	if got := quantracRun(t, env, "snapshot", "list", "--json"); strings.TrimSpace(got.stdout) != "[]" {
		t.Errorf("snapshots left: %s%s", got.stdout, got.stderr)
	}
	w.stop()
	s.kill()

	dir := filepath.Join(t.TempDir(), "new")
	backedUp(t, env, "verify", "whole").prints(t, "1 backups are whole")
	backedUp(t, env, "restore", "--data", dir).prints(t, "restored whole", "epoch 2 begins")
	back := start(t, dir, "--dev", "--mqtt", "off")
	checkLedger(t, back, want)
	if got := string(back.must("GET", "/api/auth/audit", "", "", http.StatusOK)); !strings.Contains(got, `"backup.restore"`) || strings.Contains(got, "geheim") {
		t.Errorf("audit log: %s", got)
	}
}

// TestBackupOfStopped backs up a folder whose service was killed, damages the
// backup, and mends it.
func TestBackupOfStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, place := filepath.Join(dir, "data"), filepath.Join(dir, "place")
	s := start(t, data, "--dev", "--mqtt", "off")
	s.must("PUT", "/api/registry/stations/tq", "application/json", `{"id": "tq", "family": "gauge", "facts": [{"name": "Tân Quới"}]}`, http.StatusOK)
	now := time.Now().UnixMilli()
	for i := range 20 {
		if got := s.nobody().write(fmt.Sprintf("w,station=tq level=%d %d\n", i, now-int64(i)*1000)); got.status != http.StatusNoContent {
			t.Fatalf("write: %d %s", got.status, got.body)
		}
	}
	create := []string{"backup", "create", "--to", place, "--data", data}
	quantracRun(t, nil, create...).says(t, 1, "a service runs on "+data)
	s.kill()
	quantracRun(t, nil, create...).says(t, 1, "there is no folder "+place)
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	quantracRun(t, nil, "backup", "create", "--to", filepath.Join(data, "place"), "--data", data).says(t, 1, "lies in the data folder")
	quantracRun(t, nil, "backup", "create", "--to", place, "--data", filepath.Join(dir, "other")).says(t, 1, "is no data folder")
	backedUp(t, nil, create[1:]...)

	pieces, err := filepath.Glob(filepath.Join(place, "pieces", "*", "*"))
	if err != nil || len(pieces) < 5 {
		t.Fatal(pieces, err)
	}
	for _, p := range pieces[:2] {
		if err := os.Truncate(p, 100); err != nil {
			t.Fatal(err)
		}
	}
	back := filepath.Join(dir, "back")
	quantracRun(t, nil, "backup", "restore", "--from", place, "--data", back).says(t, 1, ", piece ", " at offset ", "pieces/")
	if _, err := os.Stat(back); !os.IsNotExist(err) {
		t.Errorf("what was not restored is there: %v", err)
	}
	bad := quantracRun(t, nil, "backup", "verify", "--from", place, "--drop-damaged")
	bad.says(t, 1, "damaged or incomplete: ")
	bad.prints(t, "2 damaged pieces dropped", ", piece ", " at offset ")
	backedUp(t, nil, append(create[1:], "--name", "mended")...)
	backedUp(t, nil, "restore", "--from", place, "--data", back)
	quantracRun(t, nil, "backup", "restore", "--from", place, "--data", back).says(t, 1, "is not empty")
	c := start(t, back, "--dev", "--mqtt", "off")
	if res, err := c.query("/api/v1/query", `sum(count_over_time(w_level[2h]))`); err != nil || len(res) != 1 || fmt.Sprint(res[0].Value[1]) != "20" {
		t.Errorf("readings: %v, %v", res, err)
	}
	if body := c.must("GET", "/api/registry/stations/tq", "", "", http.StatusOK); !strings.Contains(string(body), "Tân Quới") {
		t.Errorf("station: %s", body)
	}
	got := backedUp(t, nil, "prune", "--to", place, "--keep-last", "1")
	got.prints(t, "deleted 1 backups", "kept 1 backups: mended")
}

// serveWith starts a service with more in its environment.
func serveWith(t *testing.T, env []string, dir string, args ...string) *service {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command(quantracBinary(t), append([]string{"serve", "--dev", "--mqtt", "off", "--data", dir, "--http", fmt.Sprint("127.0.0.1:", port)}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	s := spawnCommand(t, cmd)
	s.http = fmt.Sprint("http://127.0.0.1:", port)
	s.waitReady()
	return s
}

// TestBackupOnSchedule: the service backs itself up, shows and writes down that
// it does, and takes it from where an earlier run has left it; a place that
// fails is told and harms nothing else.
func TestBackupOnSchedule(t *testing.T) {
	t.Parallel()
	b := newBucket(t, 0)
	dir := filepath.Join(t.TempDir(), "data")
	is := func(s *service, metric string, want func(float64) bool) {
		t.Helper()
		eventually(t, metric, func() error {
			if got := s.metric("quantrac_backup_" + metric); !want(got) {
				return fmt.Errorf("%v", got)
			}
			return nil
		})
	}
	some := func(v float64) bool { return v > 0 }
	s := serveWith(t, b.env(), dir)
	is(s, "last_success_timestamp_seconds", some)
	is(s, "bytes_total", some)
	is(s, "backups_total", func(v float64) bool { return v == 1 })
	is(s, "last_verify_timestamp_seconds", some)
	eventually(t, "audit log", func() error {
		if got := string(s.must("GET", "/api/auth/audit", "", "", http.StatusOK)); !strings.Contains(got, `"backup.create"`) {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	at := s.metric("quantrac_backup_last_success_timestamp_seconds")
	s.stop()
	if got := backedUp(t, b.env(), "list", "--json"); strings.Count(got.stdout, `"name"`) != 1 {
		t.Errorf("list: %s", got.stdout)
	}
	again := serveWith(t, b.env(), dir)
	is(again, "last_success_timestamp_seconds", func(v float64) bool { return v == at })
	is(again, "last_verify_timestamp_seconds", some)
	is(again, "backups_total", func(v float64) bool { return v == 0 })
	again.stop()

	b.srv.Close()
	bad := serveWith(t, append(b.env(), "QUANTRAC_BACKUP_S3_ENDPOINT=http://127.0.0.1:1"), dir, "--backup-every", "1m")
	is(bad, "failures_total", some)
	bad.logged("backup failed")
	bad.waitReady()
	for _, s := range []*service{s, again, bad} {
		if strings.Contains(s.log.String(), "geheim") {
			t.Errorf("the log shows a secret:\n%s", s.log)
		}
	}
	bad.stop()
}

// TestBackupSettings: what cannot work is refused before anything starts, and
// secrets are not printed.
func TestBackupSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s3 := []string{"QUANTRAC_BACKUP_S3_ENDPOINT=https://s3.example.vn", "QUANTRAC_BACKUP_S3_ACCESS_KEY=the-key", "QUANTRAC_BACKUP_S3_SECRET_KEY=geheim"}
	for want, args := range map[string][]string{
		"backup-to: endpoint http://192.0.2.1: without TLS": {"--backup-to", "s3://b/c", "--backup-s3-endpoint", "http://192.0.2.1"},
		"backup-to: bucket: write s3://BUCKET":              {"--backup-to", "s3:///c"},
		"neither a folder nor s3://":                        {"--backup-to", "ftp://u:geheim@h/c"},
		"lies in the data folder":                           {"--backup-to", dir},
		"backup-every: want 1m0s or more":                   {"--backup-to", "/b", "--backup-every", "1s"},
		"backup-keep-last, -daily":                          {"--backup-to", "/b", "--backup-keep-last=-1"},
	} {
		for _, command := range []string{"check", "print"} {
			got := quantracRun(t, s3, append([]string{"config", command, "--data", dir}, args...)...)
			got.says(t, 1, want)
			if strings.Contains(got.stdout+got.stderr, "geheim") {
				t.Errorf("%v shows a secret: %s%s", args, got.stdout, got.stderr)
			}
		}
	}
	place := t.TempDir()
	got := quantracRun(t, nil, "config", "check", "--data", dir, "--backup-to", place)
	got.says(t, 0)
	got.prints(t, "note: backup-to is on the disk of the data folder")
	path := configured(t, "data: d\nbackup-to: s3://b/c\nbackup-every: 12h\nbackup-keep-daily: 3\nbackup-s3-endpoint: https://s3.example.vn\nbackup-s3-access-key: the-key\nbackup-s3-secret-key: geheim\n")
	got = quantracRun(t, nil, "config", "print", "--config", path)
	got.says(t, 0)
	got.prints(t, "# backup-s3-access-key is set", "# backup-s3-secret-key is set", "backup-to: s3://b/c\n", "backup-every: 12h0m0s\n", "backup-keep-daily: 3\n")
	if strings.Contains(got.stdout, "geheim") || strings.Contains(got.stdout, "the-key") {
		t.Errorf("secrets are printed:\n%s", got.stdout)
	}
}

// TestBackupStopped: a service that is stopped while it ships a backup ends, and
// the next run ships the rest.
func TestBackupStopped(t *testing.T) {
	t.Parallel()
	const first = 3
	b := newBucket(t, first)
	dir := filepath.Join(t.TempDir(), "data")
	s := serveWith(t, b.env(), dir)
	select {
	case <-b.full:
	case <-time.After(patience):
		t.Fatalf("nothing is shipped: %s", s.log)
	}
	s.stop()
	b.mu.Lock()
	b.most = 0
	b.mu.Unlock()
	close(b.free)
	if left, err := os.ReadDir(filepath.Join(dir, "snapshots")); err != nil || len(left) != 0 {
		t.Errorf("snapshots left: %v, %v", left, err)
	}
	again := serveWith(t, b.env(), dir)
	again.logged("backup made")
	again.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	twice := 0
	for _, n := range b.put {
		twice += n - 1
	}
	if len(b.put) < first+2 || twice != 0 {
		t.Errorf("%d pieces, %d of them shipped again", len(b.put), twice)
	}
}

// TestRestoredWarns: the service that was backed up has warned after the backup;
// what the restored one says is told from that by every receiver.
func TestRestoredWarns(t *testing.T) {
	t.Parallel()
	ids := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ids <- r.Header.Get("webhook-id")
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	dir := t.TempDir()
	place, back := filepath.Join(dir, "place"), filepath.Join(dir, "back")
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, filepath.Join(dir, "data"), "--dev")
	importStations(s, gaugeCSV(1))
	subscribe(s, receiver.URL)
	backedUp(t, []string{"QUANTRAC_URL=" + s.http}, "create", "--to", place)
	rise := func(s *service) string {
		t.Helper()
		line := fmt.Sprintf("water,station=%s level_meters=2.5 %d\n", stationID(0), time.Now().UnixMilli())
		if got := s.nobody().write(line); got.status != http.StatusNoContent {
			t.Fatalf("write: %d %s", got.status, got.body)
		}
		select {
		case id := <-ids:
			return id
		case <-time.After(patience):
			t.Fatal("no warning has come")
			return ""
		}
	}
	before := rise(s)
	s.kill()
	backedUp(t, nil, "restore", "--from", place, "--data", back)
	after := rise(start(t, back, "--dev"))
	if !strings.HasSuffix(before, ".1.1") || !strings.HasSuffix(after, ".1.2") {
		t.Errorf("webhook-id %s before, %s after; want epochs 1 and 2", before, after)
	}
}
