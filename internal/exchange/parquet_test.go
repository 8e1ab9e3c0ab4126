package exchange

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"quantrac"
)

// foreign writes a file as another program would.
func foreign[T any](t *testing.T, rows []T) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[T](&buf)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

type dataFrame struct {
	Datetime time.Time `parquet:"datetime,timestamp(nanosecond)"`
	Station  string    `parquet:"station"`
	Stage    *float32  `parquet:"stage,optional"`
	Index    int64     `parquet:"__index_level_0__"`
}

// TestForeignParquet reads a table as data frames are written, its columns mapped.
func TestForeignParquet(t *testing.T) {
	stage := float32(1.5)
	data := foreign(t, []dataFrame{
		{time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC), "a", &stage, 0},
		{time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), "b", nil, 1},
		{time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), "b", &stage, 2},
	})
	_, err := open(Parquet, data, ReadOptions{})
	want := "no column time or time_ms, metric (or one metric for all), value among"
	if err == nil || quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), want) {
		t.Errorf("unmapped: %v, want %q", err, want)
	}
	o := ReadOptions{Columns: map[string]string{"time": "datetime", "value": "stage"}, Metric: "water_level_meters"}
	_, err = open(Parquet, data, o)
	if want := `column "__index_level_0__" is no text, and so no label`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("with a column of numbers: %v, want %q", err, want)
	}
	o.Ignore = []string{"__index_level_0__"}
	r, err := open(Parquet, data, o)
	if err != nil {
		t.Fatal(err)
	}
	got, faults := readAll(t, r)
	if len(got) != 2 || !strings.Contains(got[0], ` -1 3ff8000000000000 `) || !strings.Contains(got[1], ` 1767323045006 3ff8000000000000 `) {
		t.Errorf("got %q", got)
	}
	if !slices.Equal(faults, []string{"line 2, value: is null: want a number"}) {
		t.Errorf("faults %q", faults)
	}
}

// TestParquetRefusals: files that cannot be taken say why.
func TestParquetRefusals(t *testing.T) {
	f := func(data []byte, want string) {
		t.Helper()
		_, err := open(Parquet, data, ReadOptions{})
		if err == nil || quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	type list struct {
		Time   int64     `parquet:"time"`
		Metric string    `parquet:"metric"`
		Value  []float64 `parquet:"value"`
	}
	type text struct {
		Time, Metric, Value string
	}
	type decimal struct {
		Time   int64  `parquet:"time"`
		Metric string `parquet:"metric"`
		Value  int64  `parquet:"value,decimal(2:18)"`
	}
	f(nil, "no Parquet file")
	f([]byte("PAR1 and no more PAR1"), "no Parquet file")
	f(foreign(t, []list{{1, "m", []float64{1, 2}}}), `column "value" is nested or repeated`)
	f(foreign(t, []text{{"1", "m", "2"}}), "no column time or time_ms")
	f(foreign(t, []decimal{{1, "m", 2}}), `column "value" is of type DECIMAL: want DOUBLE`)
}
