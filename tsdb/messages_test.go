package tsdb_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// messages fills a store with rows of stations, a commit each, at random
// milliseconds; some come late, some again with another value, and people correct
// some and take that back. It returns the commits.
func messages(t *testing.T, db *tsdb.DB, clock *quantrac.ManualClock) []quantrac.Commit {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 9))
	var out []quantrac.Commit
	var late []quantrac.Row
	put := func(r quantrac.Row) {
		clock.Set(clock.Now() + quantrac.Millis(rnd.IntN(700)))
		b := quantrac.Batch{Rows: []quantrac.Row{r}}
		switch n := len(out); {
		case n%500 == 499:
			b = quantrac.Batch{Kind: quantrac.Revocation, Author: "an", Reason: "it was right", Correction: "c"}
		case n%500 == 250:
			b.Kind, b.Author, b.Reason, b.Correction = quantrac.Corrections, "an", "fouled", "c"
			b.Rows[0].Cells[0].Value = 99
		}
		rc, err := db.Append(context.Background(), &b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rc.Commit)
	}
	for slot := range 60 {
		clock.Set(workStart + quantrac.Millis(slot)*600_000 + 2000)
		for s := range 40 {
			r := row(fmt.Sprintf("s%02d", s), slot, "v", float64(slot*s%17), "w", float64(s))
			r.Received = clock.Now() / 1000 * 1000
			switch rnd.IntN(20) {
			case 0:
				late = append(late, r)
				continue
			case 1:
				put(row(fmt.Sprintf("s%02d", s), max(slot-9, 0), "v", -1.0))
			case 2:
				r.Received = 0
			}
			put(r)
		}
		if slot%7 == 6 {
			for _, r := range late {
				r.Received = clock.Now() / 1000 * 1000
				put(r)
			}
			late = late[:0]
		}
	}
	return out
}

func second(t quantrac.Millis) quantrac.Millis { return (t + 999) / 1000 * 1000 }

// answers is what a store answers as of many times and commits, the last ones of their
// seconds, and the revisions
// of some times, by as much as is kept of their commits.
func answers(t *testing.T, db *tsdb.DB, commits []quantrac.Commit) map[string]uint32 {
	t.Helper()
	ctx := context.Background()
	out := map[string]uint32{}
	ask := func(name string, q tsdb.Query) {
		q.From, q.To, q.Qualities = quantrac.MinMillis, quantrac.MaxMillis, quantrac.AllQualities
		var b strings.Builder
		for s, err := range db.Select(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(&b, s.Labels, s.Times, s.Values, s.Qualities)
		}
		out[name] = crc32.ChecksumIEEE([]byte(b.String()))
	}
	ask("now", tsdb.Query{})
	for i := 0; i < len(commits); i += 61 {
		for i+1 < len(commits) && second(commits[i+1].Time) == second(commits[i].Time) {
			i++
		}
		c := commits[i]
		ask(fmt.Sprint("commit ", c.Number), tsdb.Query{AsOfCommit: c.Number})
		ask(fmt.Sprint("time ", c.Time), tsdb.Query{AsOf: c.Time / 1000 * 1000})
		ask(fmt.Sprint("time ", c.Time, " to the millisecond"), tsdb.Query{AsOf: c.Time})
	}
	for s := range 40 {
		labels := quantrac.NewLabels("station", fmt.Sprintf("s%02d", s), quantrac.LabelMetric, "v")
		for slot := range 60 {
			revs, err := db.Revisions(ctx, labels, workStart+quantrac.Millis(slot)*600_000)
			if err != nil {
				t.Fatal(err)
			}
			for i := range revs {
				c := &revs[i].Commit
				c.Time = second(c.Time)
				if len(revs) == 1 { // which of its second is not kept
					k, _ := slices.BinarySearchFunc(commits, c.Time, func(c quantrac.Commit, t quantrac.Millis) int { return cmp.Compare(second(c.Time), t) })
					c.Number = commits[k].Number
				}
			}
			out[fmt.Sprint(s, " ", slot)] = crc32.ChecksumIEEE(fmt.Append(nil, revs))
		}
	}
	return out
}

func differing(a, b map[string]uint32) []string {
	var out []string
	for k, v := range a {
		if b[k] != v {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// TestMessages merges a store of a commit a message and wants every answer to
// stay: now, as of commits, as of times.
func TestMessages(t *testing.T) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(workStart)
	db, _ := openDB(t, mem, clock, tsdb.Options{})
	commits := messages(t, db, clock)
	want := answers(t, db, commits)
	ctx := context.Background()
	for _, step := range []func(context.Context) error{db.Flush, db.Compact} {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
		if got := answers(t, db, commits); len(differing(want, got)) > 0 {
			t.Errorf("other answers: %v", differing(want, got))
		}
	}
	f, err := tsdb.OpenFolder(mem, "tsdb")
	if err != nil {
		t.Fatal(err)
	}
	sizes, err := f.Sizes()
	if err != nil || sizes.Clock == 0 {
		t.Errorf("no clock among %+v, %v", sizes, err)
	}
	if infos, err := f.Check(ctx, nil); err != nil || slices.ContainsFunc(infos, func(i tsdb.FileInfo) bool { return i.Error != "" }) {
		t.Errorf("check: %+v, %v", infos, err)
	}
}

// As of a commit within its second the state is exact until the rows are sealed; then
// all readings of the second count that nothing has changed.
func TestMessagesWithinSecond(t *testing.T) {
	clock := quantrac.NewManualClock(workStart)
	db, _ := openDB(t, vfs.NewMem(), clock, tsdb.Options{})
	var commits []uint64
	for i, r := range []quantrac.Row{row("a", 0, "v", 1.0), row("b", 0, "v", 10.0), row("a", 0, "v", 2.0), row("b", 1, "v", 100.0), row("a", 1, "v", 1000.0)} {
		clock.Set(workStart + quantrac.Millis(1+i/4*1000+i*100))
		commits = append(commits, mustAppend(t, db, &quantrac.Batch{Rows: []quantrac.Row{r}}).Commit.Number)
	}
	check := func(want ...float64) {
		t.Helper()
		for i, n := range commits {
			sum := 0.0
			for s, err := range db.Select(context.Background(), tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis, AsOfCommit: n}) {
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range s.Values {
					sum += v
				}
			}
			if sum != want[i] {
				t.Errorf("as of commit %d of 5 the values sum up to %v, want %v", i+1, sum, want[i])
			}
		}
	}
	check(1, 11, 12, 112, 1112)
	if err := db.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	check(1, 11, 12, 112, 1112)
	if err := db.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	check(111, 111, 112, 112, 1112)
}

// A block is read, and merged again, where the times of commits are damaged: only
// what is asked as of a time is not answered.
func TestMessagesWithoutTimes(t *testing.T) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(workStart)
	db, j := openDB(t, mem, clock, tsdb.Options{})
	commits := messages(t, db, clock)
	ctx := context.Background()
	q := tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis, AsOfCommit: commits[len(commits)-1].Number}
	count := func() (n int) {
		t.Helper()
		for s, err := range db.Select(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(s.Times)
		}
		return n
	}
	want := count()
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	names, err := mem.ReadDir("tsdb")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".commits") {
			continue
		}
		data, err := vfs.ReadFile(mem, "tsdb/"+name)
		if err == nil {
			data[100] ^= 1
			err = vfs.WriteFile(mem, "tsdb/"+name, data, 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	db, _ = openDB(t, mem, clock, tsdb.Options{})
	if err := db.Compact(ctx); quantrac.KindOf(err) != quantrac.Corrupt {
		t.Errorf("merging damaged files of commits: %v", err)
	}
	if s := db.Stats(); s.SealedBlocks == 0 || count() != want {
		t.Errorf("%d sealed blocks show %d values, want one and %d", s.SealedBlocks, count(), want)
	}
	for _, err := range db.Select(ctx, tsdb.Query{From: q.From, To: q.To, AsOf: commits[9].Time}) {
		if quantrac.KindOf(err) != quantrac.Corrupt {
			t.Errorf("as of a time: %v", err)
		}
	}
}
