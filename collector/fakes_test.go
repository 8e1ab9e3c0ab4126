package collector

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"quantrac"
)

// fakeStore keeps batches. append, where set, decides about each.
type fakeStore struct {
	mu      sync.Mutex
	append  func(b *quantrac.Batch) error
	batches []*quantrac.Batch
}

func (s *fakeStore) Append(_ context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	s.mu.Lock()
	f := s.append
	s.mu.Unlock()
	if f != nil {
		if err := f(b); err != nil {
			return quantrac.Receipt{}, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cp := *b
	cp.Rows = append([]quantrac.Row(nil), b.Rows...)
	n := 0
	for i := range cp.Rows {
		cp.Rows[i].Cells = append([]quantrac.Cell(nil), b.Rows[i].Cells...)
		n += len(cp.Rows[i].Cells)
	}
	s.batches = append(s.batches, &cp)
	return quantrac.Receipt{Commit: quantrac.Commit{Number: uint64(len(s.batches))}, Stored: n}, nil
}

func (s *fakeStore) set(f func(b *quantrac.Batch) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.append = f
}

// text writes all that is stored, one row a line, a blank line between batches.
func (s *fakeStore) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for i, batch := range s.batches {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, r := range batch.Rows {
			fmt.Fprintf(&b, "%s @%d", r.Group, r.Time)
			for _, c := range r.Cells {
				fmt.Fprintf(&b, " %s=%v/%d", c.Property, c.Value, c.Quality.Code())
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// fakeDead keeps letters. put, where set, decides.
type fakeDead struct {
	mu      sync.Mutex
	put     func() error
	letters []DeadLetter
}

func (d *fakeDead) Put(_ context.Context, ls ...DeadLetter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.put != nil {
		if err := d.put(); err != nil {
			return err
		}
	}
	d.letters = append(d.letters, ls...)
	return nil
}

func (d *fakeDead) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, l := range d.letters {
		fmt.Fprintf(&b, "%s %s %s @%d: %s", l.Kind, l.Device, l.Source, l.Received, l.Reason)
		if len(l.Payload) > 0 {
			fmt.Fprintf(&b, " | %s", l.Payload)
		}
		for _, p := range l.Problems[min(1, len(l.Problems)):] {
			fmt.Fprintf(&b, "\n  %s", p)
		}
		for _, r := range l.Rows {
			fmt.Fprintf(&b, "\n  %s @%d offered %d", r.Group, r.Time, r.Offered)
			for _, c := range r.Cells {
				if c.Value == nil {
					fmt.Fprintf(&b, " %s missing", c.Property)
				} else {
					fmt.Fprintf(&b, " %s=%v", c.Property, *c.Value)
				}
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// fakeRegistry knows devices by name.
type fakeRegistry map[string]*quantrac.Binding

// StationBinding is that of any device of the station.
func (r fakeRegistry) StationBinding(station string) (*quantrac.Binding, bool) {
	for _, b := range r {
		if b.Station == station {
			return b, true
		}
	}
	return nil, false
}

func (r fakeRegistry) Binding(device string) (*quantrac.Binding, bool) {
	b, ok := r[device]
	return b, ok
}

const (
	level = "water_level_meters"
	rain  = "rainfall_millimeters"
	start = quantrac.Millis(1_782_864_000_000) // 2026-07-01 00:00 UTC
	sec   = quantrac.Millis(1000)
	mins  = 60 * sec
)

// property is one with every test but the gross range 0 to 8 switched off.
func property(name string) quantrac.Property {
	n := math.NaN()
	return quantrac.Property{Name: name, Min: 0, Max: 8, SuspectMin: n, SuspectMax: n, SpikeLimit: n, RateLimit: n}
}

func binding(device, station string) *quantrac.Binding {
	lv := property(level)
	lv.FaultValues = []float64{-9999, 7999}
	lv.SpikeLimit, lv.RateLimit = 1, 0.01
	rn := property(rain)
	rn.Max = 500
	return &quantrac.Binding{
		Device: device, Station: station, Group: quantrac.NewLabels("station", station),
		Properties: map[string]quantrac.Property{level: lv, rain: rn},
		Installed:  start - 365*24*60*mins,
	}
}

// rig is a collector with everything about it.
type rig struct {
	*Collector
	t        *testing.T
	store    *fakeStore
	dead     *fakeDead
	registry fakeRegistry
	clock    *quantrac.ManualClock
}

func newRig(t *testing.T, o Options) *rig {
	r := &rig{
		t: t, store: &fakeStore{}, dead: &fakeDead{}, clock: quantrac.NewManualClock(start),
		registry: fakeRegistry{"d1": binding("d1", "tq"), "d2": binding("d2", "tc")},
	}
	r.registry["off"] = binding("off", "x")
	r.registry["off"].Disabled = true
	r.Collector = New(r.store, r.registry, r.dead, r.clock, o)
	t.Cleanup(func() { r.Close() })
	return r
}

// send hands over one message and waits for its outcome.
func (r *rig) send(m Message) error {
	r.t.Helper()
	done := make(chan error, 1)
	m.Ack = func(err error) { done <- err }
	if err := r.Take(r.t.Context(), m); err != nil {
		r.t.Fatalf("Take: %v", err)
	}
	return <-done
}

func (r *rig) obs(device, payload string) error {
	r.t.Helper()
	return r.send(Message{Device: device, Topic: "v1/" + device + "/obs", Payload: []byte(payload)})
}

func (r *rig) wantStored(want string) {
	r.t.Helper()
	if got := r.store.text(); got != want {
		r.t.Errorf("stored\n%swant\n%s", got, want)
	}
}

func (r *rig) wantLetters(want string) {
	r.t.Helper()
	if got := r.dead.text(); got != want {
		r.t.Errorf("dead letters\n%swant\n%s", got, want)
	}
}
