package tsdb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

var errNoSpace = syscall.ENOSPC

func readings(rows ...quantrac.Row) *quantrac.Batch { return &quantrac.Batch{Rows: rows} }

func mustAppend(t *testing.T, db *tsdb.DB, b *quantrac.Batch) quantrac.Receipt {
	t.Helper()
	rc, err := db.Append(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	return rc
}

// A full disk refuses new readings once the journal cannot take them, loses
// nothing, blocks no reads, and all goes on when there is space again.
func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(workStart + 1<<40)
	db, _ := openDB(t, mem, clock, tsdb.Options{})
	ctx := context.Background()
	for i := range 50 {
		mustAppend(t, db, readings(row("a", i, "v", float64(i)), row("b", i, "v", float64(-i))))
	}
	mem.SetCapacity(mem.Used() + 100)
	if err := db.Flush(ctx); quantrac.KindOf(err) != quantrac.Unavailable || !errors.Is(err, errNoSpace) {
		t.Fatalf("flush on a full disk: %v", err)
	}
	refused := 0
	for i := range 5 {
		if _, err := db.Append(ctx, readings(row("a", 100+i, "v", 1.0))); err != nil {
			if quantrac.KindOf(err) != quantrac.Unavailable {
				t.Fatalf("append on a full disk: %v", err)
			}
			refused++
		}
	}
	if refused == 0 {
		t.Error("a full disk took everything")
	}
	count := func() int {
		n := 0
		for s, err := range db.Select(ctx, tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis}) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(s.Times)
		}
		return n
	}
	if n := count(); n != 100+5-refused {
		t.Errorf("%d values are read, want %d", n, 100+5-refused)
	}
	mem.SetCapacity(0)
	mustAppend(t, db, readings(row("a", 200, "v", 1.0)))
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if n, s := count(), db.Stats(); n != 101+5-refused || s.HeadRows != 0 || s.Flushed != s.Applied {
		t.Errorf("%d values are read, want %d; %+v", n, 101+5-refused, s)
	}
}

// Append refuses when flushing is so far behind that memory would fill up.
func TestBackPressure(t *testing.T) {
	db, _ := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{FlushBytes: 4 << 10})
	ctx := context.Background()
	var err error
	for i := 0; err == nil && i < 10_000; i++ {
		_, err = db.Append(ctx, readings(row("a", i, "v", 1.0)))
	}
	if quantrac.KindOf(err) != quantrac.Busy {
		t.Fatalf("nobody flushes: error %v, want one of kind Busy", err)
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, db, readings(row("a", 20_000, "v", 1.0)))
}

// What the journal has dropped is still known: values as of then, commit times,
// who corrected what and why.
func TestOutlivesJournal(t *testing.T) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(workStart)
	j, err := journal.Open(mem, "journal", journal.Options{Clock: clock, SegmentBytes: 4 << 10, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	db, err := tsdb.Open(mem, "tsdb", j, tsdb.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for i := range 300 {
		clock.Set(workStart + quantrac.Millis(i)*1000)
		mustAppend(t, db, readings(row("a", -i, "v", float64(i))))
		switch i {
		case 100:
			mustAppend(t, db, &quantrac.Batch{Kind: quantrac.Corrections, Author: "lan", Reason: "staff gauge", Correction: "c", Rows: []quantrac.Row{row("a", -50, "v", 7.0)}})
		case 200:
			mustAppend(t, db, &quantrac.Batch{Kind: quantrac.Revocation, Author: "minh", Reason: "wrong gauge", Correction: "c"})
		}
		if i%37 == 0 {
			if err := db.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(db.Flush(ctx), db.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	for i := range 100 { // so that the old segments end
		mustAppend(t, db, readings(row("b", -i, "v", 1.0)))
	}
	if err := errors.Join(db.Flush(ctx), db.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	db, j2 := openDB(t, mem, clock, tsdb.Options{})
	if j2.First() < 200 {
		t.Fatalf("the journal still begins at %d; the test proves nothing", j2.First())
	}
	at := func(asOf quantrac.Millis) (n int, v float64) {
		for s, err := range db.Select(ctx, tsdb.Query{Matchers: []*quantrac.Matcher{quantrac.Equals("station", "a")}, From: quantrac.MinMillis, To: quantrac.MaxMillis, AsOf: asOf}) {
			if err != nil {
				t.Fatal(err)
			}
			n = len(s.Times)
			for i, x := range s.Times {
				if x == row("a", -50).Time {
					v = s.Values[i]
				}
			}
		}
		return n, v
	}
	for _, tt := range []struct {
		second int
		n      int
		v      float64
	}{{-1, 0, 0}, {0, 1, 0}, {49, 50, 0}, {50, 51, 50}, {99, 100, 50}, {100, 101, 7}, {199, 200, 7}, {200, 201, 50}, {1000, 300, 50}} {
		if n, v := at(workStart + quantrac.Millis(tt.second)*1000); n != tt.n || v != tt.v {
			t.Errorf("as of second %d: %d values, %v; want %d, %v", tt.second, n, v, tt.n, tt.v)
		}
	}
	revs, err := db.Revisions(ctx, quantrac.NewLabels("__name__", "v", "station", "a"), row("a", -50).Time)
	if err != nil || len(revs) != 2 {
		t.Fatalf("%+v, %v", revs, err)
	}
	if r := revs[1]; r.Author != "lan" || r.Reason != "staff gauge" || r.Correction != "c" || r.Commit.Time != workStart+100_000 || r.Revoked == 0 {
		t.Errorf("%+v", r)
	}
	if r := revs[0]; r.Commit.Time != workStart+50_000 || r.Commit.Number != 51 {
		t.Errorf("%+v", r)
	}
}

// Open refuses, with a reason, what it cannot stand for.
func TestOpenRefuses(t *testing.T) {
	clock := quantrac.NewManualClock(workStart + 1<<40)
	build := func(t *testing.T) *vfs.Mem {
		mem := vfs.NewMem()
		t.Run("build", func(t *testing.T) {
			db, _ := openDB(t, mem, clock, tsdb.Options{})
			for i := range 20 {
				mustAppend(t, db, readings(row("a", i, "v", float64(i))))
			}
			if err := db.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		})
		return mem
	}
	edit := func(name string, change func([]byte) []byte) func(*testing.T, *vfs.Mem) {
		return func(t *testing.T, mem *vfs.Mem) {
			data, err := vfs.ReadFile(mem, name)
			if err == nil {
				err = vfs.WriteFile(mem, name, change(data), 0o640)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	tests := []struct {
		name string
		harm func(*testing.T, *vfs.Mem)
		kind quantrac.ErrorKind
		text string
	}{
		{"manifest damaged", edit("tsdb/manifest", flip(3)), quantrac.Corrupt, "tsdb/manifest"},
		{"manifest of a later format", func(t *testing.T, mem *vfs.Mem) {
			doc := `{"version":2}`
			edit("tsdb/manifest", func([]byte) []byte { return tsdb.SealManifest(doc) })(t, mem)
		}, quantrac.Corrupt, "version 2"},
		{"manifest missing", func(t *testing.T, mem *vfs.Mem) {
			if err := mem.Remove("tsdb/manifest"); err != nil {
				t.Fatal(err)
			}
		}, quantrac.Corrupt, "manifest is missing"},
		{"block index damaged", edit("tsdb/00000001.block", flip(-40)), quantrac.Corrupt, "tsdb/00000001.block, offset"},
		{"block of a later format", edit("tsdb/00000001.block", func(b []byte) []byte { b[8]++; b[len(b)-12]++; return b }), quantrac.Corrupt, "version 8"},
		{"block missing", func(t *testing.T, mem *vfs.Mem) {
			if err := mem.Remove("tsdb/00000001.block"); err != nil {
				t.Fatal(err)
			}
		}, quantrac.Unavailable, "tsdb/00000001.block"},
		{"commits of a later format", edit("tsdb/00000002.commits", func(b []byte) []byte { b[len(b)-12]++; return b }), quantrac.Corrupt, "version 5"},
		{"commits damaged", edit("tsdb/00000002.commits", flip(-40)), quantrac.Corrupt, "tsdb/00000002.commits, offset"},
		{"journal of another folder", func(t *testing.T, mem *vfs.Mem) {
			if err := vfs.RemoveAll(mem, "journal"); err != nil {
				t.Fatal(err)
			}
		}, quantrac.Conflict, "journal ends at 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mem := build(t)
			tt.harm(t, mem)
			j, err := journal.Open(mem, "journal", journal.Options{Clock: clock, ReserveBytes: -1, MinFreeBytes: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			db, err := tsdb.Open(mem, "tsdb", j, tsdb.Options{Clock: clock})
			if err == nil {
				_ = db.Close()
				t.Fatal("it opened")
			}
			if quantrac.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error of kind %v: %v; want kind %v and %q", quantrac.KindOf(err), err, tt.kind, tt.text)
			}
		})
	}
}

// A record that a later version wrote stops the start; one that turns up later
// is counted and passed over.
func TestForeignRecord(t *testing.T) {
	clock := quantrac.NewManualClock(workStart + 1<<40)
	mem := vfs.NewMem()
	t.Run("running", func(t *testing.T) {
		db, j := openDB(t, mem, clock, tsdb.Options{})
		mustAppend(t, db, readings(row("a", 0, "v", 1.0)))
		if _, err := j.Append(context.Background(), journal.Record{Kind: quantrac.RecordBatch, Data: []byte{9, 9}}, journal.Record{Kind: quantrac.RecordAudit}); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, db, readings(row("a", 1, "v", 1.0)))
		if s := db.Stats(); s.ReadErrors != 1 || s.Applied != 4 || s.HeadRows != 2 {
			t.Errorf("%+v", s)
		}
	})
	j, err := journal.Open(mem, "journal", journal.Options{Clock: clock, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := tsdb.Open(mem, "tsdb", j, tsdb.Options{Clock: clock}); quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "version 9") {
		t.Errorf("error %v, want one of kind Corrupt that names the version", err)
	}
}

// A damaged chunk is an error that says where; what is in others can be read.
func TestDamagedChunk(t *testing.T) {
	clock := quantrac.NewManualClock(workStart + 1<<40)
	mem := vfs.NewMem()
	db, _ := openDB(t, mem, clock, tsdb.Options{})
	ctx := context.Background()
	for i := range 40 {
		mustAppend(t, db, readings(row("a", i, "v", float64(i)), row("b", i, "w", float64(i))))
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	f, err := mem.OpenFile("tsdb/00000001.block", 2, 0) // O_RDWR
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, 50); err != nil { // behind the times
		t.Fatal(err)
	}
	read := func(station string) error {
		for _, err := range db.Select(ctx, tsdb.Query{Matchers: []*quantrac.Matcher{quantrac.Equals("station", station)}, From: quantrac.MinMillis, To: quantrac.MaxMillis}) {
			return err
		}
		return fmt.Errorf("nothing")
	}
	if err := read("a"); quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "tsdb/00000001.block, offset 16") {
		t.Errorf("error %v, want one of kind Corrupt with path and offset", err)
	}
	if err := read("b"); err != nil {
		t.Errorf("the other series: %v", err)
	}
	// Late readings where the old ones cannot be read are taken all the same.
	rc := mustAppend(t, db, readings(row("a", 3, "v", 99.0)))
	if s := db.Stats(); rc.Stored != 1 || s.ReadErrors != 1 {
		t.Errorf("receipt %+v, stats %+v", rc, s)
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(ctx); quantrac.KindOf(err) != quantrac.Corrupt {
		t.Errorf("merging a damaged block: %v", err)
	}
	if err := read("b"); err != nil {
		t.Errorf("the other series: %v", err)
	}
}

func TestClosed(t *testing.T) {
	db, j := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{})
	mustAppend(t, db, readings(row("a", 0, "v", 1.0)))
	ctx := context.Background()
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, aerr := db.Append(ctx, readings(row("a", 1, "v", 1.0)))
	_, derr := db.Delete(ctx, tsdb.Deletion{Matchers: []*quantrac.Matcher{quantrac.Equals("a", "b")}, Author: "a", Reason: "b"})
	_, lerr := db.Latest(ctx, nil)
	_, serr := db.Series(ctx, nil, 0, 1)
	_, rerr := db.Revisions(ctx, nil, 0)
	var qerr error
	for _, err := range db.Select(ctx, tsdb.Query{}) {
		qerr = err
	}
	for i, err := range []error{aerr, derr, lerr, serr, rerr, qerr, db.Flush(ctx), db.Compact(ctx)} {
		if quantrac.KindOf(err) != quantrac.Unavailable {
			t.Errorf("call %d on a closed store: %v", i, err)
		}
	}
	// The journal goes on without it.
	if _, err := j.Append(ctx, journal.Record{Kind: quantrac.RecordAudit}); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	db, _ := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{})
	mustAppend(t, db, readings(row("a", 0, "v", 1.0), row("b", 0, "v", 1.0), row("c", 0, "v", 1.0)))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	var last error
	for _, err := range db.Select(ctx, tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis}) {
		cancel()
		if err != nil {
			last = err
		} else {
			n++
		}
	}
	if n != 1 || last != context.Canceled {
		t.Errorf("%d series and error %v after cancelling in the first", n, last)
	}
	if _, err := db.Append(ctx, readings(row("a", 1, "v", 1.0))); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	if err := db.Flush(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("flush: %v", err)
	}
	if err := db.Flush(context.Background()); err != nil {
		t.Error(err)
	}
}

// Commits of a clock that was years ahead, in files of the store before it was
// found out, count as made when it was: reads as of a time find them and what
// came after, also once the files have been merged.
func TestClockThatWasAhead(t *testing.T) {
	mem := vfs.NewMem()
	clock := &tsdbtest.Clock{}
	ctx := context.Background()
	const day = 24 * 3_600_000
	slot := 0
	add := func(t *testing.T, db *tsdb.DB, at quantrac.Millis) {
		t.Helper()
		clock.Set(at)
		slot++
		mustAppend(t, db, readings(row("a", slot, "v", float64(slot))))
	}
	use := func(accept bool, fn func(t *testing.T, db *tsdb.DB)) {
		t.Helper()
		t.Run("", func(t *testing.T) {
			j, err := journal.Open(mem, "journal", journal.Options{Clock: clock, AcceptClock: accept, ReserveBytes: -1, MinFreeBytes: -1, SegmentBytes: 2000})
			if err != nil {
				t.Fatal(err)
			}
			db, err := tsdb.Open(mem, "tsdb", j, tsdb.Options{Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			fn(t, db)
			if err := errors.Join(db.Close(), j.Close()); err != nil {
				t.Fatal(err)
			}
		})
	}
	flush := func(t *testing.T, db *tsdb.DB) {
		t.Helper()
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	const wrong = workStart + 10_000*day
	use(false, func(t *testing.T, db *tsdb.DB) {
		add(t, db, workStart+1*day)
		flush(t, db)
		add(t, db, wrong)
		add(t, db, wrong+day)
		flush(t, db)
		add(t, db, wrong+2*day) // in the journal alone
	})
	check := func(t *testing.T, db *tsdb.DB, want map[quantrac.Millis]int) {
		t.Helper()
		for at, n := range want {
			got := 0
			for s, err := range db.Select(ctx, tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis, AsOf: at}) {
				if err != nil {
					t.Fatal(err)
				}
				got += len(s.Times)
			}
			if got != n {
				t.Errorf("as of %s: %d values, want %d", at, got, n)
			}
		}
	}
	// revised is when the second value was committed.
	revised := func(t *testing.T, db *tsdb.DB) {
		t.Helper()
		revs, err := db.Revisions(ctx, quantrac.NewLabels("__name__", "v", "station", "a"), row("a", 2, "v", 1.0).Time)
		if err != nil || len(revs) != 1 || revs[0].Commit.Time != workStart+5*day {
			t.Errorf("revisions %+v, %v, want one of %s", revs, err, workStart+5*day)
		}
	}
	clock.Set(workStart + 5*day)
	want := map[quantrac.Millis]int{workStart: 0, workStart + 1*day: 1, workStart + 5*day - 1: 1, workStart + 5*day: 4}
	use(true, func(t *testing.T, db *tsdb.DB) {
		check(t, db, want)
		add(t, db, workStart+6*day)
		flush(t, db)
		add(t, db, workStart+7*day)
		for at, n := range map[quantrac.Millis]int{workStart + 6*day - 1: 4, workStart + 6*day: 5, workStart + 7*day: 6, wrong: 6} {
			want[at] = n
		}
		check(t, db, want)
	})
	use(false, func(t *testing.T, db *tsdb.DB) {
		check(t, db, want)
		revised(t, db)
		flush(t, db)
		if err := db.Compact(ctx); err != nil {
			t.Fatal(err)
		}
		check(t, db, want)
	})
	use(false, func(t *testing.T, db *tsdb.DB) {
		check(t, db, want)
		revised(t, db)
	})
}
