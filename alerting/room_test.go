package alerting

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

const t0 = quantrac.Millis(1_727_744_400_000) // 2024-10-01T08:00+07:00

func at(d time.Duration) quantrac.Millis { return t0.Add(d) }

const minute = time.Minute

// registry is one in memory, that changes at once.
type registry struct {
	mu         sync.Mutex
	thresholds []quantrac.Threshold
	simulated  bool
	bare       bool // nobody has registered more of the property than its metric
}

func (r *registry) AllThresholds() []quantrac.Threshold {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.thresholds)
}

func (r *registry) set(ths ...quantrac.Threshold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.thresholds = ths
}

func (r *registry) Properties(station string) []quantrac.Property {
	if r.bare {
		return []quantrac.Property{{Name: "water_level_meters", Decimals: 2}}
	}
	return []quantrac.Property{{Name: "water_level_meters", Unit: "m", Interval: 15 * minute, Decimals: 2, HumanName: "Mực nước", HumanNameEn: "Water level"}}
}

func (r *registry) Station(id string, _ quantrac.Millis) (quantrac.Station, bool) {
	names := map[string]quantrac.Station{
		"tram-chim": {ID: "tram-chim", Name: "Tràm Chim", NameEn: "Tram Chim", River: "kênh Phước Xuyên", Lat: 10.6692, Lon: 105.565, Commune: "30001"},
		"tan-quoi":  {ID: "tan-quoi", Name: "Tân Quới", NameEn: "Tan Quoi"},
	}
	s, ok := names[id]
	s.Simulated = r.simulated
	return s, ok
}

func thresholds(station string, kind quantrac.ThresholdKind, hyst float64, hold time.Duration, values ...float64) []quantrac.Threshold {
	var out []quantrac.Threshold
	for i, v := range values {
		out = append(out, quantrac.Threshold{
			ID: fmt.Sprintf("%s-%s-%d", station, kind, i+1), Station: station, Property: "water_level_meters", Kind: kind, Level: i + 1, Value: v, Unit: "m",
			Hysteresis: hyst, Hold: hold, ValidFrom: quantrac.MinMillis, ValidTo: quantrac.MaxMillis,
		})
	}
	return out
}

// room is an open room on a file system in memory.
type room struct {
	t     testing.TB
	fs    vfs.FS
	clock *quantrac.ManualClock
	reg   *registry
	j     *journal.Journal
	a     *Alerting
	o     Options
	stop  func() error
}

func newRoom(t testing.TB, reg *registry) *room {
	t.Helper()
	r := &room{t: t, fs: vfs.NewMem(), clock: quantrac.NewManualClock(t0), reg: reg}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *room) open() {
	r.t.Helper()
	if err := r.tryOpen(); err != nil {
		r.t.Fatal(err)
	}
	r.wait(r.j.Last().Number)
}

func (r *room) tryOpen() error {
	var err error
	r.j, err = journal.Open(r.fs, "/journal", journal.Options{Clock: r.clock, SegmentBytes: 64 << 10, ReserveBytes: 64 << 10, MinFreeBytes: -1})
	if err != nil {
		return err
	}
	o := r.o
	o.Clock, o.FS, o.Database, o.Outlook = r.clock, r.fs, projection.Memory, decodeOutlook
	r.a, err = Open(context.Background(), "/alerting", r.j, tsdb.DecodeBatch, r.reg, o)
	if err != nil {
		_ = r.j.Close()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.a.Run(ctx) }()
	r.stop = func() error {
		cancel()
		err := <-done
		_ = r.a.Close()
		_ = r.j.Close()
		return err
	}
	return nil
}

func (r *room) close() {
	r.t.Helper()
	if r.stop != nil {
		if err := r.stop(); err != nil {
			r.t.Error(err)
		}
	}
	r.stop = nil
}

func (r *room) reopen() {
	r.t.Helper()
	r.close()
	r.open()
}

func ctxT(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func staff() context.Context {
	return quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "an", Role: quantrac.RoleHydrologist})
}

// append journals a record and waits until it is judged.
func (r *room) append(rec journal.Record) quantrac.Commit {
	r.t.Helper()
	c, err := r.j.Append(context.Background(), rec)
	if err != nil {
		r.t.Fatal(err)
	}
	r.wait(c[0].Number)
	return c[0]
}

func (r *room) wait(n uint64) {
	r.t.Helper()
	if err := r.a.Wait(ctxT(r.t), n); err != nil {
		r.t.Fatalf("waiting for commit %d: %v", n, err)
	}
}

func batchRecord(b *quantrac.Batch) journal.Record {
	return journal.Record{Kind: quantrac.RecordBatch, Layer: b.Layer(), Data: tsdb.AppendBatch(nil, b)}
}

func row(station string, t quantrac.Millis, v float64, q quantrac.Quality) quantrac.Row {
	return quantrac.Row{Group: quantrac.NewLabels("station", station), Time: t, Cells: []quantrac.Cell{{Property: "water_level_meters", Value: v, Quality: q}}}
}

// read moves the clock to the reading and takes it in.
func (r *room) read(station string, t quantrac.Millis, v float64, q ...quantrac.Quality) quantrac.Commit {
	r.t.Helper()
	r.clock.Set(t)
	quality := quantrac.Good
	if len(q) > 0 {
		quality = q[0]
	}
	return r.append(batchRecord(&quantrac.Batch{Rows: []quantrac.Row{row(station, t, v, quality)}}))
}

// runRecord is a forecast run as these tests journal it.
func runRecord(run *quantrac.Outlook) journal.Record {
	data, err := json.Marshal(run)
	if err != nil {
		panic(err) // plain values alone
	}
	return journal.Record{Kind: quantrac.RecordRun, Data: data}
}

func decodeOutlook(c quantrac.Commit, record []byte) (run quantrac.Outlook, err error) {
	err = json.Unmarshal(record, &run)
	run.Run = c.Number
	return run, err
}

// correct puts a human value in place; NaN with Missing deletes.
func (r *room) correct(id, station string, t quantrac.Millis, v float64, q quantrac.Quality) {
	r.t.Helper()
	r.append(batchRecord(&quantrac.Batch{Kind: quantrac.Corrections, Author: "an", Reason: "test", Correction: id, Rows: []quantrac.Row{row(station, t, v, q)}}))
}

// registryChanged journals a change of the registry.
func (r *room) registryChanged() {
	r.t.Helper()
	r.append(journal.Record{Kind: quantrac.RecordRegistry, Data: []byte("{}")})
}

// all returns every revision ever said, in order, as the journal has it; the
// tables have the same.
func (r *room) all() []quantrac.Warning {
	r.t.Helper()
	last := r.j.Last().Number
	if err := r.a.tables.Wait(ctxT(r.t), last); err != nil {
		r.t.Fatal(err)
	}
	var ws []quantrac.Warning
	err := r.j.Replay(context.Background(), 0, func(e journal.Entry) error {
		if e.Number > last || e.Kind != quantrac.RecordWarning || e.Flags != flagWarning {
			return nil
		}
		s, err := decodeSaying(e.Commit, e.Data)
		if err == nil {
			ws = append(ws, s.Warning)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	stored, err := r.a.warnings(context.Background(), "SELECT body FROM revisions WHERE commit_number <= ? ORDER BY commit_number", int64(last))
	if err != nil {
		r.t.Fatal(err)
	}
	if len(ws) != len(stored) || len(ws) > 0 && ws[len(ws)-1] != stored[len(stored)-1] {
		for _, w := range ws {
			r.t.Logf("%d %s %d %s at %s sent %s", w.Commit, w.ID, w.Revision, brief(w), w.ValidTime, w.Sent)
		}
		r.t.Fatalf("the journal has %d revisions, the tables %d", len(ws), len(stored))
	}
	return ws
}

func brief(w quantrac.Warning) string {
	s := fmt.Sprintf("%s %s %s %d", w.Rule, w.Station, w.State, w.Level)
	if w.Kind == quantrac.ThresholdAlarm {
		s += " alarm"
	}
	return s
}

func (r *room) expect(want ...string) {
	r.t.Helper()
	var got []string
	for _, w := range r.all() {
		got = append(got, brief(w))
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("said\n%q, want\n%q", got, want)
	}
	checkRevisions(r.t, r.all())
}

// checkRevisions checks what every subscriber relies on.
func checkRevisions(t testing.TB, ws []quantrac.Warning) {
	t.Helper()
	last := map[string]quantrac.Warning{}
	commit := uint64(0)
	for _, w := range ws {
		old, ok := last[w.ID]
		switch {
		case w.Commit <= commit:
			t.Fatalf("commit %d after %d", w.Commit, commit)
		case !ok && (w.Revision != 1 || w.State != quantrac.WarningIssued):
			t.Fatalf("episode %s begins with revision %d, %s", w.ID, w.Revision, w.State)
		case ok && (w.Revision != old.Revision+1 || w.State == quantrac.WarningIssued || old.Ended()):
			t.Fatalf("episode %s: revision %d, %s after %d, %s", w.ID, w.Revision, w.State, old.Revision, old.State)
		case w.Epoch == 0 || w.Sent == 0 || w.Expires < w.Sent || w.Headline.Vi == "" || w.Headline.En == "":
			t.Fatalf("incomplete: %+v", w)
		}
		last[w.ID], commit = w, w.Commit
	}
}
