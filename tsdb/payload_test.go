package tsdb

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"quantrac"
)

func sampleBatches() []*quantrac.Batch {
	tq := quantrac.NewLabels("station", "tq")
	cd := quantrac.NewLabels("station", "cd", "sensor", "2")
	cells := func(v ...float64) []quantrac.Cell {
		out := []quantrac.Cell{}
		for i, x := range v {
			out = append(out, quantrac.Cell{Property: "p" + string(rune('a'+i)), Value: x, Quality: quantrac.Quality(i % 4)})
		}
		return out
	}
	return []*quantrac.Batch{
		{Rows: []quantrac.Row{
			{Group: tq, Time: 1_790_000_000_000, Received: 1_790_000_000_500, Cells: cells(2.314, 25.1, 7.02)},
			{Group: cd, Time: 1_790_000_000_000, Cells: cells(-0.01)},
			{Group: tq, Time: 1_789_000_000_000, Received: 1, Cells: cells(math.Copysign(0, -1), math.Inf(-1), math.Float64frombits(0x7ff8dead0000beef), 0.1+0.2)},
			{Group: quantrac.Labels{}, Time: -5, Cells: cells(5e-324)},
		}},
		{Kind: quantrac.Corrections, Author: "Lê Thị A", Reason: "đọc thước", Correction: "c-1", Rows: []quantrac.Row{
			{Group: tq, Time: quantrac.MaxMillis, Received: quantrac.MinMillis, Cells: []quantrac.Cell{{Property: "x", Value: math.NaN(), Quality: quantrac.Missing}}},
			{Group: tq, Time: quantrac.MinMillis, Received: quantrac.MaxMillis, Cells: []quantrac.Cell{{Property: "x", Value: math.MaxFloat64}}},
		}},
		{Kind: quantrac.Revocation, Author: "a", Reason: "b", Correction: "c-1"},
		{Kind: quantrac.Forecasts, Model: "arx", Issue: -1, Rows: []quantrac.Row{{Group: quantrac.NewLabels("station", "tq", "model", "arx"), Time: 3, Cells: cells(1, 2)}}},
	}
}

// same compares bit for bit, which reflect does not do for NaN.
func same(a, b *quantrac.Batch) bool {
	if len(a.Rows) != len(b.Rows) {
		return false
	}
	x, y := *a, *b
	x.Rows, y.Rows = nil, nil
	if !reflect.DeepEqual(x, y) {
		return false
	}
	for i := range a.Rows {
		p, q := a.Rows[i], b.Rows[i]
		if !p.Group.Equal(q.Group) || p.Time != q.Time || p.Received != q.Received || len(p.Cells) != len(q.Cells) {
			return false
		}
		for j := range p.Cells {
			c, d := p.Cells[j], q.Cells[j]
			if c.Property != d.Property || c.Quality != d.Quality || !quantrac.SameValue(c.Value, d.Value) {
				return false
			}
		}
	}
	return true
}

func TestPayloadRoundTrip(t *testing.T) {
	for i, b := range sampleBatches() {
		data := AppendBatch([]byte("x"), b)[1:]
		got, err := DecodeBatch(data, nil)
		if err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
		if !same(got, b) {
			t.Errorf("batch %d: got %+v, want %+v", i, got, b)
		}
		for n := range data {
			if _, err := DecodeBatch(data[:n], nil); quantrac.KindOf(err) != quantrac.Corrupt {
				t.Errorf("batch %d cut to %d of %d bytes: error %v, want one of kind Corrupt", i, n, len(data), err)
			}
		}
	}
}

func TestPayloadLaterVersion(t *testing.T) {
	data := AppendBatch(nil, sampleBatches()[0])
	data[0]++
	if _, err := DecodeBatch(data, nil); quantrac.KindOf(err) != quantrac.Corrupt {
		t.Errorf("error %v, want one of kind Corrupt that names the version", err)
	}
}

func FuzzDecodeBatch(f *testing.F) {
	for _, b := range sampleBatches() {
		f.Add(AppendBatch(nil, b))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBatch(data, nil)
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Corrupt {
				t.Fatalf("error %v has no kind", err)
			}
			return
		}
		again, err := DecodeBatch(AppendBatch(nil, b), nil)
		if err != nil {
			t.Fatalf("encoded anew: %v", err)
		}
		if !same(again, b) {
			t.Fatalf("got %+v, want %+v", again, b)
		}
	})
}

func BenchmarkPayload(b *testing.B) {
	batch := &quantrac.Batch{}
	names := []string{"water_level_meters", "water_temperature_celsius", "water_ph", "salinity_grams_per_liter", "battery_volts"}
	for i := range 5000 {
		r := quantrac.Row{
			Group: quantrac.NewLabels("station", "st-"+string(rune('0'+i%10))+string(rune('a'+i/10%26)), "sensor", "1"),
			Time:  quantrac.Millis(1_790_000_000_000 + i*17), Received: quantrac.Millis(1_790_000_000_400 + i*17),
		}
		for j, n := range names {
			r.Cells = append(r.Cells, quantrac.Cell{Property: n, Value: float64(i%3000+j) / 1000})
		}
		batch.Rows = append(batch.Rows, r)
	}
	var buf []byte
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendBatch(buf[:0], batch)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/25000, "ns/obs")
		b.ReportMetric(float64(len(buf))/25000, "bytes/obs")
	})
	b.Run("walk", func(b *testing.B) {
		b.ReportAllocs()
		var d batchDecoder
		for b.Loop() {
			if err := d.open(buf); err != nil {
				b.Fatal(err)
			}
			for d.next() {
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/25000, "ns/obs")
	})
}

// Rows of stations that are not wanted are left out, and only those.
func TestDecodeWanted(t *testing.T) {
	row := func(value float64, labels ...string) quantrac.Row {
		return quantrac.Row{Group: quantrac.NewLabels(labels...), Time: 5, Cells: []quantrac.Cell{{Property: "v", Value: value}}}
	}
	data := AppendBatch(nil, &quantrac.Batch{Rows: []quantrac.Row{
		row(1, "station", "a"), row(2, "station", "b", "sensor", "1"), row(3, "river", "tien"), row(4, "sensor", "2", "station", "b"), row(5, "station", "a"),
	}})
	for _, tt := range []struct {
		wanted string
		asked  string
		values []float64
	}{
		{"b", "a b  b", []float64{2, 4}},
		{"a", "a b  b", []float64{1, 5}},
		{"", "a b  b", []float64{3}},
		{"c", "a b  b", nil},
	} {
		var asked []string
		b, err := DecodeBatch(data, func(station []byte) bool {
			asked = append(asked, string(station))
			return string(station) == tt.wanted
		})
		if err != nil {
			t.Fatal(err)
		}
		var values []float64
		for _, r := range b.Rows {
			values = append(values, r.Cells[0].Value)
		}
		if !slices.Equal(values, tt.values) || strings.Join(asked, " ") != tt.asked {
			t.Errorf("wanted %q: got %v asked for %q, want %v and %q", tt.wanted, values, asked, tt.values, tt.asked)
		}
	}
}
