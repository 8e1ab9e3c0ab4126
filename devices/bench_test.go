package devices

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"quantrac"
	"quantrac/internal/projection"
)

// fleet enters n stations of one device and three properties each, as imports
// would, and returns their edits.
func fleet(n int) []edit {
	var edits []edit
	for i := range n {
		id := fmt.Sprintf("station_%05d", i)
		s := gauge(id, fmt.Sprint("Trạm ", i))
		p, v, c := stage(id), NewProperty("battery_volts"), NewProperty("temperature_celsius")
		_, hash, token := newToken()
		edits = append(edits,
			edit{Station: &s}, edit{Property: &p},
			edit{Property: &Property{Station: id, Property: v}}, edit{Property: &Property{Station: id, Property: c}},
			edit{Device: &Device{ID: fmt.Sprintf("device_%05d", i), Station: id}},
			edit{AddToken: &tokenEdit{Device: fmt.Sprintf("device_%05d", i), ID: token, Hash: hash, Created: t0}})
	}
	return edits
}

func (b *bench) enter(edits []edit) {
	b.Helper()
	_, err := b.reg.change(b.ctx, changeOptions{action: "bench"}, func(d *draft) {
		for _, e := range edits {
			d.do(e)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
}

const large = 10_000

func BenchmarkBinding(b *testing.B) {
	w := open(b)
	w.enter(fleet(large))
	b.ReportAllocs()
	i := 0
	ids := w.reg.Devices("")
	for b.Loop() {
		if _, ok := w.reg.Binding(ids[i%large].ID); !ok {
			b.Fatal("not bound")
		}
		i++
	}
}

func BenchmarkAuthenticateDevice(b *testing.B) {
	w := open(b)
	w.enter(fleet(large))
	secret, _, err := w.reg.NewToken(w.ctx, "device_00000", "")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !w.reg.AuthenticateDevice("device_00000", secret) {
			b.Fatal("not let in")
		}
	}
}

func BenchmarkLabels(b *testing.B) {
	w := open(b)
	w.enter(fleet(large))
	b.ReportAllocs()
	for b.Loop() {
		if w.reg.Labels("station_05000", t0) == nil {
			b.Fatal("no labels")
		}
	}
}

func BenchmarkStationsByMatcher(b *testing.B) {
	w := open(b)
	w.enter(fleet(large))
	ms := []*quantrac.Matcher{quantrac.Equals("river", "Tiền"), quantrac.Equals("name", "Trạm 77")}
	b.ReportAllocs()
	for b.Loop() {
		if len(w.reg.Stations(t0, ms)) != 1 {
			b.Fatal("not found")
		}
	}
}

// BenchmarkSwap is the next snapshot after one change among 10,000 devices.
func BenchmarkSwap(b *testing.B) {
	w := open(b)
	w.enter(fleet(large))
	s := w.reg.snap.Load()
	st := gauge("station_00007", "Mới")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.with([]edit{{Station: &st}}, s.commit+1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad is a start: the snapshot of 10,000 devices from the tables.
func BenchmarkLoad(b *testing.B) {
	w := open(b)
	w.enter(fleet(large))
	w.loaded()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := loadState(w.ctx, w.reg.proj.SQL()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut is a whole change among 10,000 devices: planned, journalled in
// memory, taken into the snapshot.
func BenchmarkPut(b *testing.B) {
	w := open(b)
	w.enter(fleet(large))
	i := 0
	for b.Loop() {
		i++
		s := gauge("station_00007", fmt.Sprint("Trạm ", i))
		if _, err := w.reg.PutStation(w.ctx, s, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEnter is 10,000 stations with their devices in one change.
func BenchmarkEnter(b *testing.B) {
	edits := fleet(large)
	for b.Loop() {
		open(b).enter(edits)
	}
}

// Readers see whole snapshots while changes land: a station's name and the
// device bound to it always come from one commit.
func TestReadersWhileChanging(t *testing.T) {
	b := open(t)
	log := t.Context()
	go func() { _ = b.reg.Run(log) }()
	b.enter(fleet(20))
	secret, _, err := b.reg.NewToken(b.ctx, "device_00003", "")
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var reads atomic.Int64
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			last := uint64(0)
			for !stop.Load() {
				if c := b.reg.Commit(); c < last {
					t.Errorf("the snapshot went back from %d to %d", last, c)
				} else {
					last = c
				}
				bind, ok := b.reg.Binding("device_00003")
				if !ok || bind.Group.Get("station") != bind.Station {
					t.Errorf("binding = %+v, %v", bind, ok)
				}
				s := b.reg.snap.Load()
				for _, id := range s.order {
					for _, d := range s.stations[id].devices {
						if s.devices[d].binding.Station != id {
							t.Errorf("device %s of %s is bound to %s", d, id, s.devices[d].binding.Station)
						}
					}
				}
				if !b.reg.AuthenticateDevice("device_00003", secret) {
					t.Error("not let in")
				}
				b.reg.StationsAt(t0)
				b.reg.Property("battery_volts")
				b.reg.Thresholds("station_00003", "water_level_meters", t0)
				reads.Add(1)
			}
		})
	}
	for i := range 60 {
		station := fmt.Sprintf("station_%05d", i%20)
		if _, err := b.reg.PutDevice(b.ctx, Device{ID: "device_00003", Station: station}, ""); err != nil {
			t.Fatal(err)
		}
		if bind, _ := b.reg.Binding("device_00003"); bind.Station != station {
			t.Fatalf("wrote %s, read %s", station, bind.Station)
		}
		if _, err := b.reg.PutThreshold(b.ctx, level("station_00003", 1, float64(i%7)), "r"); err != nil {
			t.Fatal(err)
		}
	}
	for reads.Load() < 10 {
		_ = b.reg.Commit()
	}
	stop.Store(true)
	wg.Wait()
}

// Many writers at once: each reads its own write, none is lost.
func TestManyWriters(t *testing.T) {
	b := open(t)
	ctx := t.Context()
	go func() { _ = b.reg.Run(ctx) }()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 15 {
				id := fmt.Sprintf("s_%d_%d", w, i)
				if _, err := b.reg.EnsureDevice(b.ctx, LocalDevice{Device: id}); err != nil {
					t.Error(err)
				}
				if _, ok := b.reg.Binding(id); !ok {
					t.Errorf("%s was registered and is not bound", id)
				}
			}
		})
	}
	wg.Wait()
	rebuilt := openRegistry(t, projection.Memory, b.journal, Options{})
	if got := len(rebuilt.Records()); got != 120 {
		t.Errorf("%d stations, want 120", got)
	}
}
