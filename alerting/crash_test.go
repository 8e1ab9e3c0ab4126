package alerting

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
)

// A drama is a fixed course of events; played without trouble it gives the
// warnings that any other performance must give too.
type act struct {
	at    quantrac.Millis // the clock before it
	batch *quantrac.Batch
	run   *quantrac.Outlook
	law   int // index of the thresholds from now on, 0: no change
}

func laws() [][]quantrac.Threshold {
	join := func(a, b []quantrac.Threshold) []quantrac.Threshold { return append(slices.Clone(a), b...) }
	return [][]quantrac.Threshold{
		nil,
		join(thresholds("tram-chim", quantrac.ThresholdWatch, 0.1, 30*minute, 1.5, 2.0), thresholds("tan-quoi", quantrac.ThresholdAlarm, 0, 0, 1.2)),
		join(thresholds("tram-chim", quantrac.ThresholdWatch, 0.1, 30*minute, 1.8), thresholds("tan-quoi", quantrac.ThresholdAlarm, 0, 0, 1.2)),
		thresholds("tan-quoi", quantrac.ThresholdAlarm, 0, 0, 1.2),
	}
}

func drama() []act {
	var acts []act
	add := func(a act) { acts = append(acts, a) }
	run := func(hour int, p ...float64) { add(act{run: outlook(at(time.Duration(hour)*time.Hour), p...)}) }
	reading := func(i int, a, b float64) {
		t := at(time.Duration(i) * 15 * minute)
		add(act{at: t, batch: &quantrac.Batch{Rows: []quantrac.Row{row("tram-chim", t, a, quantrac.Good), row("tan-quoi", t, b, quantrac.Good)}}})
	}
	reading(0, 1.9, 1.0) // before any law
	add(act{law: 1})
	reading(1, 1.6, 1.0)
	run(0, 0.6, 0.1)
	reading(2, 2.1, 1.25)
	run(0, 0.7, 0.6) // made again
	reading(3, 2.2, 1.1)
	add(act{batch: &quantrac.Batch{Kind: quantrac.Corrections, Author: "an", Reason: "spike", Correction: "c1",
		Rows: []quantrac.Row{row("tram-chim", at(45*minute), 1.3, quantrac.Good)}}})
	reading(4, 1.3, 1.3)
	add(act{batch: &quantrac.Batch{Kind: quantrac.Revocation, Author: "an", Reason: "no spike", Correction: "c1"}})
	add(act{law: 2})
	run(1, 0.2, 0.1)
	reading(5, 1.9, 1.0)
	reading(6, 1.2, 1.0)
	run(1, 0.1, 0.1) // made again: still one issue time
	reading(7, 1.2, 1.3)
	reading(8, 1.2, 1.0)
	add(act{law: 1})
	run(2, 0.1, 0.1)
	reading(9, 1.55, 1.3)
	run(2, 0.8)
	add(act{law: 3})
	run(3)
	reading(10, 1.55, 1.3)
	reading(11, 1.55, 1.1)
	return acts
}

// play performs a drama from act n on and returns the act at which the file
// system died, or len(acts).
func (r *room) play(acts []act, n int, dead *atomic.Bool) int {
	for ; n < len(acts); n++ {
		a := acts[n]
		r.clock.Set(a.at)
		rec := r.stage(a)
		rec.Flags = uint16(n+1) << 1 // which act it was, beside quantrac.FlagHistory
		c, err := r.j.Append(context.Background(), rec)
		if err != nil {
			if dead.Load() {
				return n
			}
			r.t.Fatal(err)
		}
		if !r.judged(c[0].Number, dead) {
			return n + 1
		}
	}
	return n
}

// stage returns the record of an act; a law is in the registry from then on.
func (r *room) stage(a act) journal.Record {
	switch {
	case a.batch != nil:
		return batchRecord(a.batch)
	case a.run != nil:
		return runRecord(a.run)
	}
	r.reg.set(laws()[a.law]...)
	return journal.Record{Kind: quantrac.RecordRegistry, Data: []byte{byte(a.law)}}
}

// judged waits until a commit is judged, or the file system is dead.
func (r *room) judged(commit uint64, dead *atomic.Bool) bool {
	for limit := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		err := r.a.Wait(ctx, commit)
		cancel()
		switch {
		case err == nil:
			return true
		case dead.Load():
			return false
		case time.Now().After(limit):
			r.t.Fatalf("commit %d is not judged: %v", commit, err)
		}
	}
}

// played says which act of the drama the journal knows last, and which law.
func (r *room) played(t testing.TB, fsys vfs.FS) (acts, law int) {
	j, err := journal.Open(fsys, "/journal", journal.Options{Clock: r.clock, SegmentBytes: 64 << 10, ReserveBytes: 64 << 10, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	err = j.Replay(context.Background(), 0, func(e journal.Entry) error {
		if e.Kind == quantrac.RecordBatch || e.Kind == quantrac.RecordRun || e.Kind == quantrac.RecordRegistry {
			acts = int(e.Flags >> 1)
		}
		if e.Kind == quantrac.RecordRegistry {
			law = int(e.Data[0])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return acts, law
}

func course(ws []quantrac.Warning) []string {
	bySeries := map[string][]string{}
	var keys []string
	for _, w := range ws {
		if bySeries[w.Series] == nil {
			keys = append(keys, w.Series)
		}
		bySeries[w.Series] = append(bySeries[w.Series], fmt.Sprintf("%s %s %d peak %d %g at %s rev %d", w.Series, w.State, w.Level, w.Peak, w.Value, w.ValidTime, w.Revision))
	}
	slices.Sort(keys)
	var out []string
	for _, k := range keys {
		out = append(out, bySeries[k]...)
	}
	return out
}

// listen collects what a subscriber hears, over all incarnations.
type listener struct {
	mu    sync.Mutex
	heard []quantrac.Warning
	stop  func()
}

func (l *listener) join(r *room) {
	ctx, cancel := context.WithCancel(staff())
	l.mu.Lock()
	after := uint64(0)
	if n := len(l.heard); n > 0 {
		after = l.heard[n-1].Commit
	}
	l.mu.Unlock()
	var wg sync.WaitGroup
	a := r.a
	wg.Go(func() {
		for w, err := range a.Follow(ctx, after, quantrac.AudienceStaff) {
			if err != nil {
				return
			}
			l.mu.Lock()
			l.heard = append(l.heard, w)
			l.mu.Unlock()
		}
	})
	l.stop = func() { cancel(); wg.Wait() }
}

func crashOptions() Options { return Options{SilenceHold: -1, SnapshotCommits: 5} }

func baseline(t *testing.T) []string {
	reg := &registry{}
	r := newRoom(t, reg)
	r.o = crashOptions()
	r.reopen()
	var dead atomic.Bool
	r.play(drama(), 0, &dead)
	checkRevisions(t, r.all())
	want := course(r.all())
	r.close()
	if len(want) < 19 {
		t.Fatalf("a dull drama: %q", want)
	}
	return want
}

// TestCrashEverywhere lets the power fail at every operation that changes a
// file, and again soon after the restart. What was said before is there, what
// was not is said, nothing twice, nothing else.
func TestCrashEverywhere(t *testing.T) {
	want := baseline(t)
	errPower := errors.New("power failure")
	acts := drama()
	crashes, stride := 0, int64(1)
	if testing.Short() {
		stride = 5
	}
	for k := int64(1); ; k += stride {
		mem := vfs.NewMem()
		r := &room{t: t, clock: quantrac.NewManualClock(t0), reg: &registry{}, o: crashOptions()}
		var l listener
		done, law, died := 0, 0, false
		for life, ops := 0, k; ; life++ {
			var dead atomic.Bool
			hook := func(vfs.Op) error { return nil }
			if life < 2 {
				from := vfs.From(ops, errPower)
				hook = func(op vfs.Op) error {
					err := from(op)
					if err != nil {
						dead.Store(true)
					}
					return err
				}
			}
			r.fs = vfs.Faulty(mem, hook)
			r.reg.set(laws()[law]...)
			if err := r.tryOpen(); err == nil {
				l.join(r)
				if r.judged(r.j.Last().Number, &dead) { // before the registry moves on
					done = r.play(acts, done, &dead)
				}
				l.stop()
				_ = r.stop()
			} else if !dead.Load() {
				t.Fatalf("operation %d, life %d: %v", k, life, err)
			}
			if !dead.Load() {
				break
			}
			died = true
			mem = mem.Crash(uint64(k)*3 + uint64(life))
			var known int
			if known, law = r.played(t, mem); known < done-1 {
				t.Fatalf("operation %d: act %d was acknowledged, act %d is the last known", k, done, known)
			}
			done = known
			ops = 3 + k%17
			crashes++
		}
		r.fs = mem
		r.open()
		l.join(r)
		checkHeard(t, &l, r.all())
		l.stop()
		if got := course(r.all()); !slices.Equal(got, want) {
			t.Fatalf("operation %d:\ngot\n%s\nwant\n%s", k, lines(got), lines(want))
		}
		checkRevisions(t, r.all())
		r.close()
		if !died {
			t.Logf("%d operations at most, %d crashes", k-1, crashes)
			if k < 100 {
				t.Errorf("only %d operations: the drama writes more", k-1)
			}
			return
		}
	}
}

// checkHeard checks that what was heard is what the journal holds: nothing
// that was told has been lost, nothing was told twice or in another order.
func checkHeard(t *testing.T, l *listener, ws []quantrac.Warning) {
	t.Helper()
	eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.heard) >= len(ws)
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range ws {
		if h := l.heard[i]; h.ID != w.ID || h.Revision != w.Revision || h.Commit != w.Commit || h.Headline != w.Headline {
			t.Fatalf("heard %+v, journalled %+v", h, w)
		}
	}
}

func lines(ss []string) string {
	out := ""
	for _, s := range ss {
		out += s + "\n"
	}
	return out
}

// TestFaultEverywhere fails every operation that changes a file once: the
// room goes on, and says the same.
func TestFaultEverywhere(t *testing.T) {
	want := baseline(t)
	errDisk := errors.New("disk failed")
	acts := drama()
	for k := int64(1); ; k += 2 {
		r := &room{t: t, clock: quantrac.NewManualClock(t0), reg: &registry{}, o: crashOptions()}
		var failed atomic.Bool
		nth := vfs.Nth(k, errDisk)
		mem := vfs.NewMem()
		r.fs = vfs.Faulty(mem, func(op vfs.Op) error {
			err := nth(op)
			if err != nil {
				failed.Store(true)
			}
			return err
		})
		err := r.tryOpen()
		for err != nil { // refused at the start; the operator starts it again
			if !failed.Load() {
				t.Fatal(err)
			}
			err = r.tryOpen()
		}
		r.wait(r.j.Last().Number)
		for n := range acts {
			for try := 0; ; try++ {
				if r.playOnce(acts[n]) == nil {
					break
				}
				if try > 100 {
					t.Fatalf("operation %d: act %d is refused for ever", k, n)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		if got := course(r.all()); !slices.Equal(got, want) {
			t.Fatalf("operation %d:\ngot\n%s\nwant\n%s", k, lines(got), lines(want))
		}
		_ = r.stop()
		if !failed.Load() {
			return
		}
	}
}

func (r *room) playOnce(a act) error {
	r.clock.Set(a.at)
	c, err := r.j.Append(context.Background(), r.stage(a))
	if err == nil {
		r.wait(c[0].Number)
	}
	return err
}

// TestRandomLives plays random readings, corrections, laws, forecasts and leaps
// of the clock without waiting for the judge, through power failures. Whatever
// way each race went, no revision is doubled, lost or set back; and who judges
// the whole journal again without a snapshot has nothing to add.
func TestRandomLives(t *testing.T) {
	lives := uint64(60)
	if testing.Short() {
		lives = 10
	}
	said := map[quantrac.WarningState]int{}
	for seed := uint64(1); seed <= lives; seed++ {
		rng := rand.New(rand.NewPCG(seed, 5))
		mem := vfs.NewMem()
		r := &room{t: t, clock: quantrac.NewManualClock(t0), reg: &registry{}, o: Options{SnapshotCommits: 3 + int(seed%9), Validity: 4 * time.Hour}}
		r.reg.set(laws()[1]...)
		for range 3 {
			var dead atomic.Bool
			from := vfs.From(10+rng.Int64N(60), errors.New("power failure"))
			r.fs = vfs.Faulty(mem, func(op vfs.Op) error {
				err := from(op)
				if err != nil {
					dead.Store(true)
				}
				return err
			})
			if err := r.tryOpen(); err != nil {
				if !dead.Load() {
					t.Fatal(err)
				}
			} else {
				for i := 0; i < 40 && !dead.Load(); i++ {
					r.randomAct(rng, &dead)
				}
				_ = r.stop()
			}
			mem = mem.Crash(rng.Uint64())
		}
		r.fs = mem
		r.open()
		for range 4 { // below every level, and no longer silent
			for _, station := range []string{"tan-quoi", "tram-chim"} {
				r.read(station, r.clock.Now().Add(10*minute), 0.1)
			}
		}
		ws := r.all()
		checkRevisions(t, ws)
		for _, w := range ws {
			said[w.State]++
		}
		for _, w := range r.a.Current(staff(), quantrac.AudienceStaff) {
			if w.Rule != quantrac.RuleForecast {
				t.Fatalf("seed %d: after usable readings below every level there is still %q", seed, brief(w))
			}
		}
		r.close()
		if err := vfs.RemoveAll(r.fs, "/alerting"); err != nil {
			t.Fatal(err)
		}
		r.open()
		if again := r.all(); len(again) != len(ws) {
			t.Fatalf("seed %d: judged again there is something to add: %q", seed, brief(again[len(ws)]))
		}
		r.close()
	}
	t.Logf("said: %v", said)
	for _, s := range states {
		if said[s] == 0 {
			t.Errorf("never said %s", s)
		}
	}
}

func (r *room) randomAct(rng *rand.Rand, dead *atomic.Bool) {
	station := []string{"tan-quoi", "tram-chim"}[rng.IntN(2)]
	value := float64(rng.IntN(26)) / 10
	now := r.clock.Now()
	var rec journal.Record
	switch p := rng.IntN(20); {
	case p < 2:
		r.clock.Advance(time.Duration(rng.IntN(400)) * minute)
		return
	case p < 3:
		// Of an hour, so that some are made again.
		rec = runRecord(outlook(now/3_600_000*3_600_000, []float64{rng.Float64(), rng.Float64() / 2}[:rng.IntN(3)]...))
	case p < 4:
		law := 1 + rng.IntN(3)
		r.reg.set(laws()[law]...)
		rec = journal.Record{Kind: quantrac.RecordRegistry, Data: []byte{byte(law)}}
	case p < 6:
		rec = batchRecord(&quantrac.Batch{Kind: quantrac.Corrections, Author: "an", Reason: "r", Correction: fmt.Sprint("c", rng.IntN(3)),
			Rows: []quantrac.Row{row(station, now, value, quantrac.Good)}})
	case p < 7:
		rec = batchRecord(&quantrac.Batch{Kind: quantrac.Revocation, Author: "an", Reason: "r", Correction: fmt.Sprint("c", rng.IntN(3))})
	default:
		r.clock.Advance(time.Duration(1+rng.IntN(20)) * minute)
		q := []quantrac.Quality{quantrac.Good, quantrac.Good, quantrac.Suspect, quantrac.Fail}[rng.IntN(4)]
		rec = batchRecord(&quantrac.Batch{Rows: []quantrac.Row{row(station, r.clock.Now(), value, q)}})
	}
	if c, err := r.j.Append(context.Background(), rec); err == nil && rng.IntN(4) == 0 {
		r.judged(c[0].Number, dead)
	}
}

func TestSnapshotFile(t *testing.T) {
	r := newRoom(t, watch(1.5))
	r.read("tram-chim", at(0), 1.7)
	r.correct("c", "tram-chim", at(0), math.NaN(), quantrac.Missing) // NaN is kept
	r.read("tram-chim", at(15*minute), 1.8)
	r.reopen()
	if s := r.a.Stats(); s.Snapshot != 0 && s.Snapshot != r.j.Last().Number {
		t.Errorf("%+v", s)
	}
	r.close()
	data, err := vfs.ReadFile(r.fs, "/alerting/rules.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	st, err := decodeSnapshot(data)
	if err != nil || len(st.Series) != 1 || len(st.Rules) != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	want := course(r.allAfterReopen(data))
	// Damaged anywhere, it is not used, and the state is judged again.
	for i := 0; i < len(data); i += 1 + len(data)/23 {
		bad := slices.Clone(data)
		bad[i] ^= 0x10
		if _, err := decodeSnapshot(bad); quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatalf("byte %d: %v", i, err)
		}
		if got := course(r.allAfterReopen(bad)); !slices.Equal(got, want) {
			t.Fatalf("byte %d: %q, want %q", i, got, want)
		}
	}
}

// allAfterReopen puts a snapshot in place, opens the room, lets it judge, and
// closes it.
func (r *room) allAfterReopen(snapshot []byte) []quantrac.Warning {
	if err := vfs.WriteFile(r.fs, "/alerting/rules.snapshot", snapshot, 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.open()
	defer r.close()
	return r.all()
}

func FuzzSnapshot(f *testing.F) {
	data, err := encodeSnapshot(&stored{Commit: 3, Rules: []ruleSet{{Station: "a"}}, Series: []storedSeries{{Value: math.NaN()}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := decodeSnapshot(data); err != nil && quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatal(err)
		}
	})
}

func FuzzRecords(f *testing.F) {
	rec, err := (&saying{Warning: quantrac.Warning{ID: "a", Revision: 1}}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rec.Data)
	f.Add([]byte(`{"v":1,"after":3,"sets":[{"station":"a","thresholds":[{"Level":1}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := quantrac.Commit{Number: 7, Time: t0}
		if s, err := decodeSaying(c, data); err == nil {
			if s.Warning.Commit != 7 || s.Warning.Sent != t0 {
				t.Fatal("commit is not the entry's")
			}
			if _, err := s.encode(); err != nil {
				t.Fatal(err)
			}
		} else if quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatal(err)
		}
		if _, err := decodeRules(c, data); err != nil && quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatal(err)
		}
	})
}
