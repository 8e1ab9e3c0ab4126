package alerting

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
)

func watch(values ...float64) *registry {
	r := &registry{}
	r.set(thresholds("tram-chim", quantrac.ThresholdWatch, 0.1, time.Hour, values...)...)
	return r
}

func TestEpisode(t *testing.T) {
	r := newRoom(t, watch(1.5, 2.0, 2.5))
	r.read("tram-chim", at(0), 1.2)
	r.read("tram-chim", at(15*minute), 1.64)
	r.read("tram-chim", at(30*minute), 2.34, quantrac.Suspect)
	r.read("tram-chim", at(45*minute), -9999, quantrac.Fail)
	r.read("tram-chim", at(60*minute), math.NaN(), quantrac.Missing)
	if open := r.a.Current(context.Background(), quantrac.AudiencePublic); len(open) != 1 || open[0].Level != 2 || open[0].Peak != 2 {
		t.Fatalf("open: %+v", open)
	}
	for i, v := range []float64{1.85, 1.85, 1.85, 1.85, 1.85, 1.2, 1.2, 1.2, 1.2, 1.2} {
		r.read("tram-chim", at(75*minute+time.Duration(i)*15*minute), v)
	}
	r.expect("level tram-chim issue 1", "level tram-chim update 2", "level tram-chim update 1", "level tram-chim all_clear 0")
	if open := r.a.Current(context.Background(), quantrac.AudiencePublic); len(open) != 0 {
		t.Fatalf("open: %+v", open)
	}
	ws := r.all()
	for i, want := range []struct{ head, detail, en string }{
		{"Trạm Tràm Chim: mực nước vượt ngưỡng theo dõi I", "Lúc 08 giờ 15 phút ngày 01/10/2024, mực nước tại trạm Tràm Chim (kênh Phước Xuyên) là 1,64 m, trên ngưỡng theo dõi I 14 cm.", "14 cm above watch level I."},
		{"Trạm Tràm Chim: mực nước vượt ngưỡng theo dõi II", "2,34 m, dưới ngưỡng theo dõi III 16 cm. Số liệu đang bị nghi vấn", "Quality control doubts"},
		{"Trạm Tràm Chim: mực nước xuống dưới ngưỡng theo dõi II, còn mức ngưỡng theo dõi I", "1,85 m", "1.85 m"},
		{"Trạm Tràm Chim: mực nước đã xuống dưới ngưỡng theo dõi I, kết thúc cảnh báo", "Các số liệu liên tục dưới 1,40 m trong ít nhất 1 giờ.", "below 1.40 m for at least 1 h."},
	} {
		w := ws[i]
		if w.Headline.Vi != want.head || !strings.Contains(w.Detail.Vi, want.detail) || !strings.Contains(w.Detail.En, want.en) {
			t.Errorf("revision %d:\n%s\n%s\n%s", i+1, w.Headline.Vi, w.Detail.Vi, w.Detail.En)
		}
		if !strings.HasPrefix(w.Detail.Vi, "Thông tin quan trắc – cảnh báo kỹ thuật\n") {
			t.Errorf("revision %d is not headed as ours: %s", i+1, w.Detail.Vi)
		}
		if all := w.Headline.Vi + w.Detail.Vi + w.Advice.Vi + w.Headline.En + w.Detail.En + w.Advice.En; strings.Contains(all, "báo động") || strings.Contains(all, "alarm") {
			t.Errorf("revision %d says báo động of a watch level", i+1)
		}
		if w.Lat != 10.6692 || w.Area != "30001" || w.StationName.En != "Tram Chim" || w.Onset != at(15*minute) {
			t.Errorf("revision %d: %+v", i+1, w)
		}
	}
	if !ws[1].Suspect || ws[0].Suspect || ws[1].Threshold != 2.0 || ws[3].Threshold != 1.5 {
		t.Errorf("figures: %+v", ws)
	}
}

// TestBareProperty: a warning speaks of the water level and of metres also where
// nobody has registered a name and a unit, never of water_level_meters.
func TestBareProperty(t *testing.T) {
	reg := watch(1.5)
	reg.bare = true
	r := newRoom(t, reg)
	r.read("tram-chim", at(0), 1.64)
	r.expect("level tram-chim issue 1")
	w := r.all()[0]
	if w.Headline.Vi != "Trạm Tràm Chim: mực nước vượt ngưỡng theo dõi I" || w.Headline.En != "Station Tram Chim: water level above watch level I" || w.Unit != "m" {
		t.Errorf("%+v in %q", w.Headline, w.Unit)
	}
	if !strings.Contains(w.Detail.Vi, "là 1,64 m, trên ngưỡng theo dõi I 14 cm") || !strings.Contains(w.Detail.En, "was 1.64 m, 14 cm above") {
		t.Errorf("%s\n%s", w.Detail.Vi, w.Detail.En)
	}
}

func TestAlarmLevelsAndSimulation(t *testing.T) {
	reg := &registry{simulated: true}
	ths := append(thresholds("tan-quoi", quantrac.ThresholdAlarm, 0, 0, 1.5), thresholds("tan-quoi", quantrac.ThresholdWatch, 0, 0, 1.2)...)
	ths[0].LegalBasis = "Quyết định 05/2020/QĐ-TTg"
	reg.set(ths...)
	r := newRoom(t, reg)
	r.read("tan-quoi", at(0), 1.5)
	r.expect("level tan-quoi issue 1 alarm", "level tan-quoi issue 1")
	w := r.all()[0]
	if !w.Simulated || w.Headline.Vi != "[MÔ PHỎNG] Trạm Tân Quới: mực nước đạt báo động I" || w.Headline.En != "[SIMULATED] Station Tan Quoi: water level has reached alarm level I" {
		t.Errorf("%+v", w.Headline)
	}
	if !strings.Contains(w.Detail.Vi, "bằng báo động I") || !strings.Contains(w.Detail.Vi, "Căn cứ: Quyết định 05/2020/QĐ-TTg.") || !strings.Contains(w.Detail.En, "Simulated readings") {
		t.Errorf("%s\n%s", w.Detail.Vi, w.Detail.En)
	}
}

func TestCorrections(t *testing.T) {
	r := newRoom(t, watch(1.5, 2.0))
	r.read("tram-chim", at(0), 1.0)
	r.read("tram-chim", at(15*minute), 3.0)
	r.read("tram-chim", at(15*minute), 3.0) // sent again
	r.read("tram-chim", at(30*minute), 1.0)
	r.correct("c1", "tram-chim", at(15*minute), 1.01, quantrac.Good)
	r.expect("level tram-chim issue 2", "level tram-chim cancel 0")
	if w := r.all()[1]; !strings.Contains(w.Headline.Vi, "hủy cảnh báo mức ngưỡng theo dõi II") || w.Value != 1.0 {
		t.Errorf("%+v", w)
	}
	r.read("tram-chim", at(45*minute), 1.7)
	r.correct("c2", "tram-chim", at(45*minute), math.NaN(), quantrac.Missing)
	r.append(batchRecord(&quantrac.Batch{Kind: quantrac.Revocation, Author: "an", Reason: "wrong", Correction: "c2"}))
	ws := r.all()
	var got []string
	for _, w := range ws[2:] {
		got = append(got, brief(w))
	}
	if want := []string{"level tram-chim issue 1", "level tram-chim cancel 0", "level tram-chim issue 1"}; !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
	checkRevisions(t, ws)
}

func TestOneBatchOfBacklog(t *testing.T) {
	// A batch in any order is judged by time; of two values for one time the
	// later in the batch counts; what lies ahead of the clock does not.
	r := newRoom(t, watch(1.5))
	r.clock.Set(at(3 * time.Hour))
	var rows []quantrac.Row
	for i, v := range []float64{1.0, 1.6, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0} {
		rows = append([]quantrac.Row{row("tram-chim", at(time.Duration(i)*15*minute), v, quantrac.Good)}, rows...)
	}
	rows = append([]quantrac.Row{row("tram-chim", at(0), 9, quantrac.Good)}, rows...)
	rows = append(rows, row("tram-chim", at(4*time.Hour), 9, quantrac.Good))
	r.append(batchRecord(&quantrac.Batch{Rows: rows}))
	r.expect("level tram-chim issue 1", "level tram-chim all_clear 0")
	r.read("tram-chim", at(3*time.Hour+10*time.Second), 1.6) // before the gauge counts as silent
	r.expect("level tram-chim issue 1", "level tram-chim all_clear 0", "level tram-chim issue 1")
}

// What is imported raises nothing, and is no part of what a later reading is
// judged by.
func TestImportedReadingsAreNotJudged(t *testing.T) {
	r := newRoom(t, watch(1.5))
	r.clock.Set(at(3 * time.Hour))
	imported := func(from time.Duration, v float64) {
		t.Helper()
		rec := batchRecord(&quantrac.Batch{Rows: []quantrac.Row{row("tram-chim", at(from), v, quantrac.Good), row("tram-chim", at(from+15*minute), v, quantrac.Good)}})
		rec.Flags = quantrac.FlagHistory
		r.append(rec)
	}
	imported(0, 9)
	r.expect()
	r.read("tram-chim", at(3*time.Hour), 1.6)
	r.expect("level tram-chim issue 1")
	imported(time.Hour, 0)
	imported(3*time.Hour+15*minute, 0)
	r.expect("level tram-chim issue 1")
}

func TestForecastSeriesAreNotReadings(t *testing.T) {
	r := newRoom(t, watch(1.5))
	g := quantrac.NewLabels("station", "tram-chim", "model", "arx", "quantile", "0.5")
	cells := []quantrac.Cell{{Property: "water_level_meters", Value: 9, Quality: quantrac.Good}}
	r.append(batchRecord(&quantrac.Batch{Kind: quantrac.Forecasts, Model: "arx", Issue: t0, Rows: []quantrac.Row{{Group: g, Time: at(time.Hour), Cells: cells}}}))
	r.append(batchRecord(&quantrac.Batch{Rows: []quantrac.Row{{Group: g, Time: at(0), Cells: cells}}}))
	r.expect()
}

func TestThresholdsChange(t *testing.T) {
	reg := watch(2.0)
	r := newRoom(t, reg)
	r.read("tram-chim", at(0), 1.7)
	reg.set(thresholds("tram-chim", quantrac.ThresholdWatch, 0, 0, 1.5)...)
	r.read("tram-chim", at(15*minute), 1.7) // not yet a commit: not yet in force
	r.expect()
	r.registryChanged()
	r.expect()
	r.read("tram-chim", at(30*minute), 1.7)
	r.expect("level tram-chim issue 1")
	r.reopen()
	reg.set()
	r.registryChanged()
	r.expect("level tram-chim issue 1", "level tram-chim cancel 0")
	if w := r.all()[1]; !strings.Contains(w.Headline.Vi, "ngưỡng không còn hiệu lực") {
		t.Errorf("%s", w.Headline.Vi)
	}
	r.read("tram-chim", at(45*minute), 1.7)
	r.expect("level tram-chim issue 1", "level tram-chim cancel 0")
	reg.set(thresholds("tram-chim", quantrac.ThresholdWatch, 0, 0, 1.5)...)
	r.registryChanged()
	r.read("tram-chim", at(60*minute), 1.7)
	r.expect("level tram-chim issue 1", "level tram-chim cancel 0", "level tram-chim issue 1")
}

// TestOldLaw lets the registry move on while the room is away and its snapshot
// is lost: readings are judged again by the thresholds of their time.
func TestOldLaw(t *testing.T) {
	reg := watch(2.0)
	r := newRoom(t, reg)
	r.read("tram-chim", at(0), 1.7)
	r.close()
	if err := r.fs.Remove("/alerting/rules.snapshot"); err != nil {
		t.Fatal(err)
	}
	reg.set(thresholds("tram-chim", quantrac.ThresholdWatch, 0, 0, 1.5)...)
	r.open()
	r.expect()
	r.read("tram-chim", at(15*minute), 1.6)
	r.expect("level tram-chim issue 1")
}

func TestSilence(t *testing.T) {
	r := newRoom(t, watch(1.5))
	r.read("tram-chim", at(0), 1.7)
	patience := quantrac.StaleAfter(15*minute) + 30*minute // 76 minutes
	r.clock.Set(at(patience - time.Second))
	r.clock.Set(at(patience))
	silent := func() bool {
		for _, w := range r.a.Current(staff(), quantrac.AudienceStaff) {
			if w.Rule == quantrac.RuleSilence {
				return true
			}
		}
		return false
	}
	eventually(t, silent)
	if open := r.a.Current(context.Background(), quantrac.AudienceStaff); len(open) != 1 || open[0].Rule != quantrac.RuleLevel {
		t.Fatalf("the public sees %+v", open)
	}
	if open := r.a.Current(staff(), quantrac.AudiencePublic); len(open) != 1 {
		t.Fatalf("staff asking for public ones sees %d", len(open))
	}
	// What is failed or too old to be news does not end it; nor does the
	// silence end the warning.
	r.clock.Set(at(4 * time.Hour))
	r.append(batchRecord(&quantrac.Batch{Rows: []quantrac.Row{row("tram-chim", at(4*time.Hour), -9999, quantrac.Fail)}}))
	r.append(batchRecord(&quantrac.Batch{Rows: []quantrac.Row{row("tram-chim", at(30*minute), 1.7, quantrac.Good)}}))
	if !silent() {
		t.Fatal("silence ended")
	}
	r.read("tram-chim", at(4*time.Hour+minute), 1.71)
	r.expect("level tram-chim issue 1", "silence tram-chim issue 0", "silence tram-chim all_clear 0")
	w := r.all()[1]
	if w.Audience != quantrac.AudienceStaff || !strings.Contains(w.Detail.Vi, "Không có số liệu dùng được kể từ 08 giờ 00 phút ngày 01/10/2024") || w.ValidTime != at(0) {
		t.Errorf("%+v", w)
	}
	// A restart gives every gauge its patience anew.
	r.close()
	r.clock.Set(at(10 * time.Hour))
	r.open()
	r.clock.Set(at(10*time.Hour + patience - time.Second))
	r.registryChanged()
	if silent() {
		t.Fatal("called silent for our own absence")
	}
	r.clock.Set(at(10*time.Hour + patience))
	eventually(t, silent)
	r.reopen()
	r.registryChanged()
	if !silent() {
		t.Fatal("silence forgotten over a restart")
	}
	if n := len(r.all()); n != 4 {
		t.Fatalf("%d revisions", n)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("did not come about")
		}
	}
}

// TestRenewalAfterALongStandstill: a service that was away for days while a
// warning stood says once that it stands, and goes on judging.
func TestRenewalAfterALongStandstill(t *testing.T) {
	for _, away := range []time.Duration{25 * time.Hour, 72 * time.Hour, 30 * 24 * time.Hour} {
		r := newRoom(t, watch(1.5))
		r.o.SilenceHold = -1
		r.reopen()
		r.read("tram-chim", at(0), 1.7)
		r.clock.Set(at(away))
		r.reopen()
		eventually(t, func() bool { return len(r.all()) == 2 })
		for i := range 6 {
			r.read("tram-chim", at(away+time.Duration(i)*15*minute), 0.5)
		}
		r.expect("level tram-chim issue 1", "level tram-chim update 1", "level tram-chim all_clear 0")
	}
}

func TestRenewal(t *testing.T) {
	r := newRoom(t, watch(1.5))
	r.o.SilenceHold = -1
	r.reopen()
	r.read("tram-chim", at(0), 1.7)
	r.read("tram-chim", at(15*minute), 1.8)
	r.clock.Set(at(18*time.Hour - minute))
	r.registryChanged()
	r.expect("level tram-chim issue 1")
	r.clock.Set(at(18 * time.Hour))
	eventually(t, func() bool { return len(r.all()) == 2 })
	r.expect("level tram-chim issue 1", "level tram-chim update 1")
	w := r.all()[1]
	if !strings.Contains(w.Headline.Vi, "còn hiệu lực") || !strings.Contains(w.Detail.Vi, "chưa có số liệu mới") || w.Value != 1.8 || w.Expires != at(42*time.Hour) {
		t.Errorf("%+v", w)
	}
	r.reopen() // the renewal is remembered
	r.clock.Set(at(36*time.Hour - minute))
	r.registryChanged()
	r.expect("level tram-chim issue 1", "level tram-chim update 1")
	r.clock.Set(at(36 * time.Hour))
	eventually(t, func() bool { return len(r.all()) == 3 })
}

// TestClockDrivenSayingsAreFoundAgain loses the snapshot: renewals, silences
// and forecasts, which no reading brings about again, are taken over from the
// journal, and the next revision follows theirs.
func TestClockDrivenSayingsAreFoundAgain(t *testing.T) {
	r := newRoom(t, watch(1.5, 2.0))
	r.read("tram-chim", at(0), 1.7)
	r.clock.Set(at(18 * time.Hour))
	eventually(t, func() bool { return len(r.all()) == 3 }) // silent, and renewed
	r.append(runRecord(outlook(at(18*time.Hour), 0.9)))
	r.close()
	if err := r.fs.Remove("/alerting/rules.snapshot"); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.append(runRecord(outlook(at(18*time.Hour), 0.9)))
	r.append(runRecord(outlook(at(19*time.Hour), 0.9, 0.9)))
	r.read("tram-chim", at(20*time.Hour), 2.1)
	r.expect("level tram-chim issue 1", "silence tram-chim issue 0", "level tram-chim update 1", "forecast tram-chim issue 1",
		"forecast tram-chim update 2", "level tram-chim update 2", "silence tram-chim all_clear 0")
	// Once more, with readings to be judged again.
	r.close()
	if err := r.fs.Remove("/alerting/rules.snapshot"); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.read("tram-chim", at(20*time.Hour+15*minute), 1.7)
	r.read("tram-chim", at(20*time.Hour+30*minute), 1.7)
	r.read("tram-chim", at(21*time.Hour+15*minute), 1.7)
	ws := r.all()
	if w := ws[len(ws)-1]; len(ws) != 8 || brief(w) != "level tram-chim update 1" || w.Revision != 4 {
		t.Fatalf("%d revisions, the last %s, revision %d", len(ws), brief(w), w.Revision)
	}
	checkRevisions(t, ws)
}

// TestRaceOfClockAndReading: a reading was committed, then a renewal said, and
// then came the kill, before the reading was judged. What it brings about
// follows the renewal.
func TestRaceOfClockAndReading(t *testing.T) {
	r := newRoom(t, watch(1.5, 2.0))
	r.read("tram-chim", at(0), 1.7)
	first := r.all()[0]
	r.close()
	r.clock.Set(at(15 * minute))
	j, err := journal.Open(r.fs, "/journal", journal.Options{Clock: r.clock, SegmentBytes: 64 << 10, ReserveBytes: 64 << 10, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	w := first
	w.Revision, w.State = 2, quantrac.WarningUpdated
	renewed, err := (&saying{Warning: w, Judged: first.Commit, Key: "level theo_doi " + w.Series, Labels: map[string]string{"__name__": w.Property, "station": w.Station}}).encode()
	if err != nil {
		t.Fatal(err)
	}
	b := batchRecord(&quantrac.Batch{Rows: []quantrac.Row{row("tram-chim", at(15*minute), 2.1, quantrac.Good)}})
	if _, err := j.Append(context.Background(), b, renewed); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.expect("level tram-chim issue 1", "level tram-chim update 1", "level tram-chim update 2")
	r.reopen()
	r.read("tram-chim", at(30*minute), 2.1)
	r.expect("level tram-chim issue 1", "level tram-chim update 1", "level tram-chim update 2")
}

func TestReading(t *testing.T) {
	reg := watch(1.5)
	reg.thresholds = append(reg.thresholds, thresholds("tan-quoi", quantrac.ThresholdWatch, 0, 0, 1.5)...)
	r := newRoom(t, reg)
	start := r.a.Position()
	r.read("tram-chim", at(0), 1.7)
	r.read("tan-quoi", at(0), 1.7)
	r.read("tan-quoi", at(15*minute), 1.0)
	mine := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "binh", Role: quantrac.RoleViewer, Stations: []string{"tan-quoi"}})
	next := func(ctx context.Context, after uint64, n int) []string {
		t.Helper()
		var out []string
		for w, err := range r.a.Follow(ctx, after, quantrac.AudienceStaff) {
			if err != nil {
				t.Fatal(err)
			}
			if out = append(out, brief(w)); len(out) == n {
				break
			}
		}
		return out
	}
	if got := next(context.Background(), start, 3); !slices.Equal(got, []string{"level tram-chim issue 1", "level tan-quoi issue 1", "level tan-quoi all_clear 0"}) {
		t.Errorf("%q", got)
	}
	if got := next(mine, 0, 2); !slices.Equal(got, []string{"level tan-quoi issue 1", "level tan-quoi all_clear 0"}) {
		t.Errorf("own stations: %q", got)
	}
	r.reopen() // now from the tables
	if got := next(mine, 0, 2); len(got) != 2 {
		t.Errorf("after a restart: %q", got)
	}
	ws := r.all()
	if all, err := r.a.Episode(context.Background(), ws[1].ID); err != nil || len(all) != 2 {
		t.Errorf("episode: %d, %v", len(all), err)
	}
	if _, err := r.a.Episode(mine, ws[0].ID); quantrac.KindOf(err) != quantrac.NotFound {
		t.Errorf("another's station: %v", err)
	}
	if w, err := r.a.Get(mine, ws[1].ID); err != nil || w.State != quantrac.WarningClear {
		t.Errorf("get: %+v, %v", w, err)
	}
	h, err := r.a.History(context.Background(), Selection{Limit: 2})
	if err != nil || len(h) != 2 || h[0].Commit != ws[2].Commit {
		t.Errorf("history: %v, %v", h, err)
	}
	h, _ = r.a.History(context.Background(), Selection{Before: h[1].Commit, Station: "tram-chim"})
	if len(h) != 1 || h[0].Commit != ws[0].Commit {
		t.Errorf("second page: %v", h)
	}
	if recent, err := r.a.Recent(context.Background(), r.clock.Now()+1); err != nil || len(recent) != 1 {
		t.Errorf("recent: only what is open: %v, %v", recent, err)
	}
	if s := r.a.Stats(); s.Open[quantrac.RuleLevel] != 1 || s.Lag != 0 {
		t.Errorf("stats: %+v", s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range r.a.Follow(ctx, r.a.Position(), quantrac.AudiencePublic) {
		if err == nil {
			t.Error("cancelled, and yet a warning")
		}
	}
}

func TestUndecodableEntryIsPassedOver(t *testing.T) {
	r := newRoom(t, watch(1.5))
	r.append(journal.Record{Kind: quantrac.RecordBatch, Data: []byte("rubbish")})
	r.read("tram-chim", at(0), 1.7)
	r.expect("level tram-chim issue 1")
	if n := r.a.Stats().Corrupt; n != 1 {
		t.Errorf("%d counted", n)
	}
}
