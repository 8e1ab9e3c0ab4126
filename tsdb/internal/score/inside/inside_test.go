package inside

import (
	"context"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
	"quantrac/tsdb/internal/score/load"
)

// TestMessages wants the same values in both forms, and what belongs to them to
// take some bytes.
func TestMessages(t *testing.T) {
	b, err := Messages(context.Background(), load.Province(5, 300))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d values: %d bytes plain, %d with all that belongs to them: %.3f a value, %v", b.Values, b.Plain.Total, b.Rich.Total, b.OnTop(), b.Parts())
	if b.Values < 7000 || b.Plain.Total < int64(b.Values)/10 || b.OnTop() <= 0 {
		t.Errorf("got %+v", b)
	}
	sum := 0.0
	for _, p := range b.Parts() {
		sum += p.Each
	}
	if sum < 0.9*b.OnTop() || sum > 1.1*b.OnTop() { // headers and index are not among them
		t.Errorf("the parts are %v, %.3f in all, where %.3f is on top", b.Parts(), sum, b.OnTop())
	}
	again, err := Messages(context.Background(), load.Province(5, 300))
	if err != nil || again.OnTop() != b.OnTop() || again.Plain.Total != b.Plain.Total {
		t.Errorf("the second time %+v, %v", again, err)
	}
}

// TestRich wants every kind of thing that belongs to a reading to occur.
func TestRich(t *testing.T) {
	n := load.Province(5, 1000)
	clock := quantrac.NewManualClock(quantrac.FloorMillis(n.Start()))
	e, err := open(vfs.NewMem(), clock)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := fill(context.Background(), e, clock, n); err != nil {
		t.Fatal(err)
	}
	st := e.Stats()
	if st.Redelivered == 0 || st.Stored == 0 {
		t.Errorf("got %+v, want readings sent again", st)
	}
	seen := map[quantrac.Quality]int{}
	human, revised, delays := 0, 0, map[quantrac.Millis]int{}
	q := tsdb.Query{
		Matchers: []*quantrac.Matcher{quantrac.Equals(quantrac.LabelMetric, load.Metric(0))}, From: quantrac.MinMillis, To: quantrac.MaxMillis,
		Qualities: quantrac.AllQualities,
	}
	for s, err := range e.Select(context.Background(), q) {
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range s.Times {
			seen[s.Qualities[i]]++
			revs, err := e.Revisions(context.Background(), s.Labels, at)
			if err != nil {
				t.Fatal(err)
			}
			for k, r := range revs {
				switch {
				case r.Layer == quantrac.LayerHuman:
					human++
				case k > 0:
					revised++
				default:
					delays[(r.Received-at)/1000]++
				}
			}
		}
	}
	if seen[quantrac.Good] == 0 || seen[quantrac.Suspect] == 0 || seen[quantrac.Fail] == 0 || human == 0 || revised == 0 || len(delays) < 20 {
		t.Errorf("qualities %v, %d human and %d later revisions, %d different delays: something does not occur", seen, human, revised, len(delays))
	}
}

func TestPower(t *testing.T) {
	l, err := Power(context.Background(), load.Province(4, 120), 2, 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", l)
	if l.Failures < 10 || l.Acked < 2000 || l.Lost != 0 {
		t.Errorf("got %+v, want ten failures or more and no loss", l)
	}
}

// TestLost wants a loss to be seen: values are remembered that nobody wrote.
func TestLost(t *testing.T) {
	p := &plant{clock: quantrac.NewManualClock(1), mem: vfs.NewMem(), acked: map[string]map[quantrac.Millis]float64{}}
	var err error
	if p.e, err = open(p.mem, p.clock); err != nil {
		t.Fatal(err)
	}
	defer p.e.Close()
	p.remember(quantrac.Row{Group: quantrac.NewLabels("station", "x"), Time: 1, Cells: []quantrac.Cell{{Property: "a", Value: 1}, {Property: "b", Value: 2}}})
	if n, err := p.lost(context.Background()); err != nil || n != 2 {
		t.Errorf("%d lost, %v, want 2", n, err)
	}
}
