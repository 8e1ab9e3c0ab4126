// Package alertingtest opens an alerting room for tests of its channels, here
// and end to end: on a file system in memory or a real one, with a registry of
// thresholds and readings that a test sends straight to the journal. Only tests
// import it.
package alertingtest

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"quantrac"
	"quantrac/alerting"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
)

// Property is what every station of a Registry measures.
const Property = "water_level_meters"

// Registry is a registry whose stations all have the same thresholds: watch
// levels at 1, 2 and 3 m, neither hysteresis nor hold.
type Registry struct {
	Stations []string
}

// AllThresholds implements alerting.Registry.
func (r Registry) AllThresholds() []quantrac.Threshold {
	var out []quantrac.Threshold
	for _, s := range r.Stations {
		for lvl := 1; lvl <= 3; lvl++ {
			out = append(out, quantrac.Threshold{
				ID: fmt.Sprint(s, "-", lvl), Station: s, Property: Property, Kind: quantrac.ThresholdWatch, Level: lvl,
				Value: float64(lvl), Unit: "m", ValidFrom: quantrac.MinMillis, ValidTo: quantrac.MaxMillis,
			})
		}
	}
	return out
}

// Properties implements alerting.Registry.
func (r Registry) Properties(string) []quantrac.Property {
	return []quantrac.Property{{Name: Property, Unit: "m", Interval: 15 * time.Minute, Decimals: 2, HumanName: "Mực nước", HumanNameEn: "Water level"}}
}

// Station implements alerting.Registry.
func (r Registry) Station(id string, _ quantrac.Millis) (quantrac.Station, bool) {
	return quantrac.Station{ID: id, Name: "Trạm " + id, NameEn: "Station " + id, Lat: 10.5, Lon: 105.5, Commune: "30001"}, true
}

// Room is an open room with its journal.
type Room struct {
	*alerting.Alerting
	Journal *journal.Journal
	tb      testing.TB
	fs      vfs.FS
	dir     string
	reg     Registry
	o       alerting.Options
	clock   quantrac.Clock
	last    quantrac.Millis // valid time of the newest reading sent
	stop    func()
}

// Open opens a room in memory, or in the folder dir if it is not "", with a
// registry of stations. It is closed with the test.
func Open(tb testing.TB, dir string, o alerting.Options, stations ...string) *Room {
	tb.Helper()
	r := &Room{tb: tb, fs: vfs.NewMem(), dir: "/room", reg: Registry{stations}, o: o, clock: o.Clock}
	if r.o.Database = projection.Memory; dir != "" {
		r.fs, r.dir, r.o.Database = vfs.OS(), dir, ""
	}
	if r.clock == nil {
		r.clock = quantrac.SystemClock{}
	}
	r.o.FS = r.fs
	r.open()
	tb.Cleanup(func() { r.Stop() })
	return r
}

func (r *Room) open() {
	r.tb.Helper()
	var err error
	if r.Journal, err = journal.Open(r.fs, filepath.Join(r.dir, "journal"), journal.Options{Clock: r.clock}); err != nil {
		r.tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if r.Alerting, err = alerting.Open(ctx, filepath.Join(r.dir, "alerting"), r.Journal, decode, r.reg, r.o); err != nil {
		cancel()
		r.tb.Fatal(err)
	}
	var wg sync.WaitGroup
	a, j := r.Alerting, r.Journal
	wg.Go(func() {
		if err := a.Run(ctx); err != nil {
			r.tb.Error(err)
		}
	})
	r.stop = func() {
		cancel()
		wg.Wait()
		_ = a.Close()
		_ = j.Close()
	}
}

// Stop closes room and journal. It may be called more than once.
func (r *Room) Stop() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

// Reopen stops and opens again.
func (r *Room) Reopen() {
	r.tb.Helper()
	r.Stop()
	r.open()
}

// Send journals a reading of now and does not wait. It is for one goroutine;
// no two readings are of the same millisecond.
func (r *Room) Send(station string, value float64) quantrac.Commit {
	r.tb.Helper()
	r.last = max(r.clock.Now(), r.last+1)
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(&quantrac.Batch{Rows: []quantrac.Row{{
		Group: quantrac.NewLabels(quantrac.LabelStation, station), Time: r.last,
		Cells: []quantrac.Cell{{Property: Property, Value: value, Quality: quantrac.Good}},
	}}})
	if err != nil {
		r.tb.Fatal(err)
	}
	c, err := r.Journal.Append(context.Background(), journal.Record{Kind: quantrac.RecordBatch, Data: b.Bytes()})
	if err != nil {
		r.tb.Fatal(err)
	}
	return c[0]
}

// Read journals a reading of now and waits until it is judged.
func (r *Room) Read(station string, value float64) {
	r.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx, r.Send(station, value).Number); err != nil {
		r.tb.Fatal(err)
	}
}

func decode(data []byte, wanted func([]byte) bool) (*quantrac.Batch, error) {
	var b quantrac.Batch
	err := gob.NewDecoder(bytes.NewReader(data)).Decode(&b)
	b.Rows = slices.DeleteFunc(b.Rows, func(r quantrac.Row) bool { return !wanted([]byte(r.Group.Station())) })
	return &b, err
}
