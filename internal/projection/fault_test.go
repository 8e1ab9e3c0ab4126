package projection

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
)

// TestFullDisk: a projection that cannot write for want of space goes on when
// there is some, without having lost or doubled an entry.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, vfs.NewMem())
		p := openDB(t, Memory)
		var pages int
		if err := p.write.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
			t.Fatal(err)
		}
		limit := func(n int) {
			if err := p.write.QueryRow(fmt.Sprint("PRAGMA max_page_count = ", n)).Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
		limit(pages + 5)
		run, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := p.Run(run, j); err != nil {
				t.Error(err)
			}
		})
		var last uint64
		for i := range 100 {
			last = put(t, j, quantrac.RecordRegistry, fmt.Sprint(i, strings.Repeat("x", 2000)))
		}
		synctest.Wait()
		if n := p.Applied(); n >= last {
			t.Fatalf("applied %d with no space", n)
		}
		limit(1 << 20)
		if err := p.Wait(ctx, last); err != nil {
			t.Fatal(err)
		}
		if n := count(t, p); n != 100 {
			t.Errorf("%d rows", n)
		}
		cancel()
		wg.Wait()
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPowerFailure: a power failure may take all transactions that are only in
// the write-ahead log. The journal must still have what is missing then, at any
// time.
func TestPowerFailure(t *testing.T) {
	mem := vfs.NewMem()
	j := openJournal(t, mem)
	path := filepath.Join(t.TempDir(), "p.db")
	p := openDB(t, path)
	lost, dropped := false, false
	rows := 0
	for round := range 40 {
		for i := range 10 {
			kind := quantrac.RecordBatch
			if i == 3 {
				kind = quantrac.RecordRegistry
				rows++
			}
			put(t, j, kind, strings.Repeat("x", 60_000))
		}
		if err := p.CatchUp(ctx, j); err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(t.TempDir(), "p.db")
		copyFile(t, path, left) // without the log
		q := openDB(t, left)
		lost = lost || q.Applied() < p.Applied()
		dropped = dropped || j.First() > 1
		if q.Applied()+1 < j.First() {
			t.Fatalf("round %d: the file contains commits up to %d, the journal begins at %d", round, q.Applied(), j.First())
		}
		copyJournal := mem.Crash(0)
		k, err := journal.Open(copyJournal, "/j", journal.Options{SegmentBytes: 4096, ReserveBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.CatchUp(ctx, k); err != nil {
			t.Fatal(err)
		}
		if n := count(t, q); n != rows || q.Applied() != p.Applied() {
			t.Fatalf("round %d: %d rows, want %d", round, n, rows)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !lost || !dropped {
		t.Errorf("nothing was at stake: lost %v, dropped %v", lost, dropped)
	}
}

// TestReaderInTheWay: while a reader keeps the checkpoint from finishing, the
// journal is held where the last one was.
func TestReaderInTheWay(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	p := openDB(t, filepath.Join(t.TempDir(), "p.db"))
	put(t, j, quantrac.RecordRegistry, "first")
	if err := p.CatchUp(ctx, j); err != nil {
		t.Fatal(err)
	}
	tx, err := p.SQL().Begin()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM seen").Scan(&n); err != nil {
		t.Fatal(err)
	}
	more := func() {
		for range 90 {
			put(t, j, quantrac.RecordRegistry, strings.Repeat("x", 200_000))
		}
		if err := p.CatchUp(ctx, j); err != nil {
			t.Fatal(err)
		}
	}
	more()
	if j.First() != 1 {
		t.Errorf("the journal begins at %d", j.First())
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	more()
	if j.First() == 1 {
		t.Error("the journal is still held")
	}
}

// TestRebuild: a file that was deleted is made again from the whole journal.
func TestRebuild(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	j.Hold("everything", 0)
	for i := range 300 {
		put(t, j, quantrac.RecordRegistry, fmt.Sprint(i, strings.Repeat("x", 50)))
	}
	var dumps [2]string
	for i := range dumps {
		p := openDB(t, filepath.Join(t.TempDir(), "p.db"))
		if err := p.CatchUp(ctx, j); err != nil {
			t.Fatal(err)
		}
		if err := p.SQL().QueryRow("SELECT group_concat(number || body) FROM seen").Scan(&dumps[i]); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if dumps[0] != dumps[1] || len(dumps[0]) < 300*50 {
		t.Errorf("%d bytes, rebuilt %d bytes", len(dumps[0]), len(dumps[1]))
	}
}

func TestTwoFollowers(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	p := openDB(t, Memory)
	started := make(chan struct{})
	var once sync.Once
	p.o.Apply = func(c context.Context, tx *sql.Tx, e journal.Entry) error {
		once.Do(func() { close(started) })
		return insert(c, tx, e)
	}
	put(t, j, quantrac.RecordRegistry, "a")
	done := make(chan error)
	go func() { done <- p.Run(ctx, j) }()
	<-started
	if err := p.Run(ctx, j); quantrac.KindOf(err) != quantrac.Conflict {
		t.Errorf("a second Run: %v", err)
	}
	n := put(t, j, quantrac.RecordRegistry, "b")
	if err := p.CatchUp(ctx, j); err != nil || p.Applied() < n {
		t.Errorf("catching up beside Run: applied %d, %v", p.Applied(), err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run at close: %v", err)
	}
	if err := p.CatchUp(ctx, j); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("catching up when closed: %v", err)
	}
}

// TestJournalLostItsEnd: the tables contain more than the journal has.
func TestJournalLostItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	j := openJournal(t, vfs.NewMem())
	put(t, j, quantrac.RecordRegistry, "a")
	p := openDB(t, path)
	if err := p.CatchUp(ctx, j); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = openDB(t, path)
	if err := p.CatchUp(ctx, openJournal(t, vfs.NewMem())); quantrac.KindOf(err) != quantrac.Conflict || !strings.Contains(err.Error(), path) {
		t.Errorf("followed an empty journal: %v", err)
	}
}

func BenchmarkApply(b *testing.B) {
	j, err := journal.Open(vfs.NewMem(), "/j", journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	recs := make([]journal.Record, b.N)
	for i := range recs {
		recs[i] = journal.Record{Kind: quantrac.RecordRegistry, Data: []byte("a change of one station, as it may be")}
	}
	for len(recs) > 0 {
		n := min(len(recs), 10_000)
		if _, err := j.Append(ctx, recs[:n]...); err != nil {
			b.Fatal(err)
		}
		recs = recs[n:]
	}
	p, err := Open(filepath.Join(b.TempDir(), "p.db"), options())
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	b.ResetTimer()
	if err := p.CatchUp(ctx, j); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
