package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"quantrac"
)

// hard are values that a format loses first.
var hard = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.1, 2.675, 1e21, 1e22, 1e-6, 9.999e-7, 1e-7, 123456789012345, 1234567890123456,
	math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072011e-308, math.Inf(1), math.Inf(-1),
	math.NaN(), math.Float64frombits(0x7ff8000000000002), math.Float64frombits(0xfff8000000000000), math.Float64frombits(0x7ff0000000000001),
}

// odd are label values that a format mistakes first.
var odd = []string{"cho_moi", "Chợ Mới", `quoted "so"`, "a,b", "a\nb", "a\r\nb", "\rx", " padded ", `back\slash`, "=1+1", "\u2028", "\"", "'", "😀", "0"}

// randomSeries makes stretches, sorted by labels and times.
func randomSeries(rnd *rand.Rand, revisions bool) []Stretch {
	var out []Stretch
	for i := range 1 + rnd.IntN(4) {
		ls := []string{quantrac.LabelMetric, fmt.Sprintf("metric_%d", i), "station", odd[rnd.IntN(len(odd))]}
		for _, name := range []string{"sensor", "time", "value", "label:x", "weird name, \"really\"\n"} {
			if rnd.IntN(3) == 0 {
				ls = append(ls, name, odd[rnd.IntN(len(odd))])
			}
		}
		s := Stretch{Labels: quantrac.NewLabels(ls...)}
		at := quantrac.Millis(rnd.Int64N(4e12) - 2e12)
		for range 1 + rnd.IntN(200) {
			at += quantrac.Millis(1 + rnd.Int64N(1e6))
			s.Times, s.Revisions = append(s.Times, at), append(s.Revisions, randomRevision(rnd, at, revisions))
		}
		out = append(out, s)
	}
	return out
}

func randomRevision(rnd *rand.Rand, at quantrac.Millis, archive bool) quantrac.Revision {
	r := quantrac.Revision{Value: float64(rnd.IntN(10000)) / 100}
	switch rnd.IntN(4) {
	case 0:
		r.Value = hard[rnd.IntN(len(hard))]
	case 1:
		r.Value = math.Float64frombits(rnd.Uint64())
	}
	if rnd.IntN(3) == 0 {
		r.Quality = quantrac.Quality(rnd.IntN(5))
	}
	if rnd.IntN(5) == 0 {
		r.Received = at + 5
	}
	if rnd.IntN(9) == 0 {
		r.Layer = quantrac.LayerHuman
	}
	if archive {
		r.Commit = quantrac.Commit{Number: rnd.Uint64N(1 << 40), Time: at + 9}
		if r.Layer == quantrac.LayerHuman {
			r.Author, r.Reason, r.Correction, r.Revoked = odd[rnd.IntN(len(odd))], odd[rnd.IntN(len(odd))], "c1", rnd.Uint64N(2)
		}
	}
	return r
}

// write writes stretches, open reads them back.
func write(t testing.TB, f Format, o WriteOptions, all []Stretch) []byte {
	t.Helper()
	names := map[string]bool{}
	for _, s := range all {
		for _, l := range s.Labels {
			names[l.Name] = true
		}
	}
	for n := range names {
		o.LabelNames = append(o.LabelNames, n)
	}
	slices.Sort(o.LabelNames)
	var buf bytes.Buffer
	w, err := NewWriter(&buf, f, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if err := w.Write(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func open(f Format, data []byte, o ReadOptions) (Reader, error) {
	if f == Parquet {
		return NewParquetReader(bytes.NewReader(data), int64(len(data)), o)
	}
	return NewReader(bytes.NewReader(data), f, o)
}

// readAll gives every value as a line, and every fault.
func readAll(t testing.TB, r Reader) (values, faults []string) {
	t.Helper()
	for {
		s, err := r.Next()
		switch f := new(Fault); {
		case err == io.EOF:
			return values, faults
		case errors.As(err, &f):
			faults = append(faults, f.Error())
		case err != nil:
			t.Fatal(err)
		default:
			values = append(values, told(s)...)
		}
	}
}

// told is a stretch, a line a value, with the bits of values.
func told(s *Stretch) (out []string) {
	for i, t := range s.Times {
		r := s.Revisions[i]
		bits := math.Float64bits(r.Value)
		r.Value = 0
		out = append(out, fmt.Sprintf("%q %d %016x %+v", s.Labels, int64(t), bits, r))
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		for _, f := range []Format{JSONLines, CSV, Parquet} {
			o := WriteOptions{Revisions: seed%2 == 1}
			all := randomSeries(rnd, o.Revisions)
			var want []string
			for i := range all {
				want = append(want, told(&all[i])...)
			}
			r, err := open(f, write(t, f, o, all), ReadOptions{})
			if err != nil {
				t.Fatalf("%s, seed %d: %v", f, seed, err)
			}
			got, faults := readAll(t, r)
			if !slices.Equal(got, want) || len(faults) > 0 {
				t.Fatalf("%s, seed %d: faults %v, first difference\n%s", f, seed, faults, difference(got, want))
			}
		}
	}
}

func difference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("got  %s\nwant %s", g, w)
		}
	}
	return "none"
}

// TestVictoriaMetricsRoundTrip: what that format can say comes back.
func TestVictoriaMetricsRoundTrip(t *testing.T) {
	s := Stretch{Labels: quantrac.NewLabels(quantrac.LabelMetric, "m", "station", "a")}
	for i, v := range hard {
		s.Times = append(s.Times, quantrac.Millis(i))
		s.Revisions = append(s.Revisions, quantrac.Revision{Value: v, Quality: quantrac.Suspect})
	}
	text := write(t, VictoriaMetrics, WriteOptions{}, []Stretch{s})
	r, err := open(VictoriaMetrics, text, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	var want []uint64
	nans := 0
	for _, v := range hard {
		if v == v {
			want = append(want, math.Float64bits(v))
		} else {
			nans++
		}
	}
	var bits []uint64
	for _, r := range got.Revisions {
		bits = append(bits, math.Float64bits(r.Value))
	}
	if !slices.Equal(bits, want) || got.Left != nans {
		t.Errorf("%x and %d left out, want %x and %d; from %s", bits, got.Left, want, nans, text)
	}
}

// TestVictoriaMetricsExport reads what version 1.151 has exported.
func TestVictoriaMetricsExport(t *testing.T) {
	text, err := os.ReadFile("testdata/victoriametrics.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	r, err := open(VictoriaMetrics, text, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		s, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, t := range s.Times {
			got = append(got, fmt.Sprint(s.Labels, " ", int64(t), " ", s.Revisions[i].Value))
		}
	}
	slices.Sort(got)
	want := strings.Split(strings.TrimSpace(`
odd_meters{station="s0"} 1700000000000 +Inf
odd_meters{station="s0"} 1700000600000 -Inf
odd_meters{station="s0"} 1700001200000 0
odd_meters{station="s0"} 1700001800000 1.23e+14
odd_meters{station="s0"} 1700002400000 1e+30
odd_meters{station="s0"} 1700003000000 0
twice_meters{station="s0"} 1700000000000 1
twice_meters{station="s0"} 1700000000000 1.5
twice_meters{station="s0"} 1700000000000 2
water_level_meters{note="a \"b\"\\c", station="tan_chau"} 1700000000000 1e-06
water_level_meters{place="bến đò", station="cho_moi"} 1700000000000 2.314
water_level_meters{place="bến đò", station="cho_moi"} 1700000600000 -0.02
water_temperature_c{place="bến đò", station="cho_moi"} 1700000000000 27.5
water_temperature_c{place="bến đò", station="cho_moi"} 1700000600000 27
`), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("first difference:\n%s", difference(got, want))
	}
}

func TestLines(t *testing.T) {
	f := func(format Format, o ReadOptions, text string, values int, fault string) {
		t.Helper()
		r, err := open(format, []byte(text), o)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, faults := readAll(t, r)
		if len(got) != values || (fault == "") != (len(faults) == 0) || !strings.Contains(strings.Join(faults, "; "), fault) {
			t.Errorf("%.200s\n%d values, faults %q; want %d, %q", text, len(got), faults, values, fault)
		}
	}
	none := ReadOptions{}
	// As VictoriaMetrics takes them, from its lib/protoparser/vmimport/parser_test.go.
	f(VictoriaMetrics, none, `{"metric":{"__name__":"m","foo":"bar"},"values":[Inf, -Inf, "Infinity", "-Infinity", NaN, "NaN", null, 1.2],"timestamps":[456, 789, 123, 0, 1, 42, 2, 7]}`, 7, "")
	f(VictoriaMetrics, none, `{"metric":{"__name__":"m","":"bar","baz":"xx"},"values":[1.23, -3.21],"timestamps" : [456,789]}`+"\r\n\r\n", 2, "")
	f(VictoriaMetrics, none, `{"values":[1],"timestamps":[456],"metric":{"__name__":"m"},"more":{"a":[1,{"b":"c"}]}}`, 1, "")
	// Good lines around a bad one are kept.
	good := `{"metric":{"__name__":"m"},"values":[1],"timestamps":[1]}` + "\n"
	for bad, why := range map[string]string{
		`garbage`: `line 2: "garbage" at byte 0: want "{"`,
		`{"metric":{"foo":"bar"},"values":[1],"timestamps":[3]}`:                                             "line 2, metric: series without a metric name",
		`{"metric":{"__name__":"m"},"values":[1,2],"timestamps":[3]}`:                                        "line 2, timestamps: 1 of them for 2 values",
		`{"metric":{"__name__":"m"},"values":[],"timestamps":[]}`:                                            "line 2, values: none",
		`{"metric":{"__name__":"m"},"values":["foo"],"timestamps":[3]}`:                                      `line 2, values: value 0: "foo" is no number`,
		`{"metric":{"__name__":"m"},"values":[1e999],"timestamps":[3]}`:                                      `line 2, values: value 0: "1e999" is no number`,
		`{"metric":{"__name__":"m"},"values":[1],"timestamps":["soon"]}`:                                     `line 2, timestamps: value 0: "soon" is no time: want whole milliseconds`,
		`{"metric":{"__name__":"m"},"values":[1],"timestamps":[1]}{}`:                                        `line 2: "{}" at byte 57: want the end of the line`,
		`{"metric":{"__name__":"m","a":1},"values":[1],"timestamps":[1]}`:                                    `line 2, metric: label "a": "1},\"values\":[1],\"tim" at byte 30: want a string`,
		`{"metric":{"__name__":"m"},"values":[1],"timestamps":[1],"quality":7}`:                              "line 2, quality: value 0: quality flag 7",
		`{"metric":{"__name__":"m"},"values":[1,2,3],"timestamps":[1,2,3],"quality":[1,2]}`:                  "line 2, quality: 2 of them for 3 values",
		`{"metric":{"__name__":"m"},"x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`:          "line 2, x: nested more than 32 deep",
		`{"metric":{"__name__":"m"},"values":[1],"timestamps":[1],"pad":"` + strings.Repeat("x", 400) + `"}`: "line 2: longer than 300 bytes",
		`{"metric":{"__name__":"m","a":"b","a":"c"},"values":[1],"timestamps":[1]}`:                          `label "a" stands there twice`,
		`{"metric":{"__name__":"m","a":"` + "\x01" + `"}}`:                                                   "no control character",
		`{"metric":{"__name__":"m`: `the line ends`,
	} {
		f(JSONLines, ReadOptions{MaxLine: 300}, good+bad+"\n"+good, 2, why)
	}
	f(JSONLines, none, `{"metric":{"__name__":"m"},"values":[null],"timestamps":[1]}`, 1, "")
	f(JSONLines, ReadOptions{Metric: "m"}, `{"metric":{"foo":"bar"},"values":[1],"timestamps":[3]}`, 1, "")

	head := "time_ms,metric,value,station,quality\n"
	row := "1,m,2.5,a,1\n"
	for bad, why := range map[string]string{
		"1,m,2.5,a":         "line 3: 4 cells: want 5",
		"soon,m,2.5,a,1":    `line 3, time_ms: "soon" is no time`,
		"1,m,two,a,1":       `line 3, value: "two" is no number`,
		"1,m,,a,1":          `line 3, value: "" is no number`,
		"1,,2,a,1":          "line 3: series without a metric name",
		"1,m,2,a,8":         "line 3, quality: quality flag 8",
		`1,m,2,a"b,1`:       `line 3, cell 4: quotes within`,
		`1,m,2,"a"b,1`:      `line 3, cell 4: quotes within`,
		"1,m,2,\"a\nb\"c,1": `line 3, cell 4: quotes within`,
		"1,m,0x1p-2,a,1":    `line 3, value: "0x1p-2" is no number`,
		"1,m,2.5," + strings.Repeat("a", 2000) + ",1": "line 3: label \"station\" has a value of 2000 bytes",
	} {
		f(CSV, none, head+row+bad+"\n\n"+row, 2, why)
	}
	f(CSV, none, head+row+"1,m,2,\"a,1\n"+row+row, 1, "line 3: a quote is opened and not closed")
	f(CSV, none, "\uFEFFtime,metric,value\r\n2026-11-23T07:00:00.5+07:00,m,1e3\r\n1700000000.25,m,-0", 2, "")
	mapped := ReadOptions{Columns: map[string]string{"time": "when", "value": "stage"}, Metric: "water_level_meters", Ignore: []string{"note"}, Labels: quantrac.NewLabels("station", "b")}
	f(CSV, mapped, "when,stage,note\n2026-11-23T07:00:00Z,1.5,fine\n", 1, "")
}

// TestHeadings: a file whose columns cannot be understood says which are wanted.
func TestHeadings(t *testing.T) {
	f := func(text string, o ReadOptions, want string) {
		t.Helper()
		r, err := NewReader(strings.NewReader(text), CSV, o)
		if err == nil {
			_, err = r.Next()
		}
		if err == nil || quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("", ReadOptions{}, "the file is empty")
	f("a;b\n", ReadOptions{}, "no column time or time_ms, metric (or one metric for all), value among \"a;b\"; say")
	f("time,metric,value,a,a\n", ReadOptions{}, `two columns are called "a"`)
	f("time,metric,value,label:a,a\n", ReadOptions{}, `two columns are the label "a"`)
	f("time,metric,value\n", ReadOptions{Columns: map[string]string{"value": "v"}}, `no column "v", which is to be the value`)
	f("time,metric,value\n", ReadOptions{Columns: map[string]string{"vlaue": "value"}}, `"vlaue" is no part`)
}

// TestManyColumns: a table of a million columns is read in a moment, and an error
// about its headings names the first of them alone.
func TestManyColumns(t *testing.T) {
	var head strings.Builder
	const columns = 1_000_000
	for i := range columns {
		fmt.Fprintf(&head, ",c%d", i)
	}
	cells := strings.Repeat(",", columns-1) + ",x"
	r, err := NewReader(strings.NewReader("time_ms,metric,value"+head.String()+"\n1,m,2"+cells+"\n"), CSV, ReadOptions{MaxLine: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`m{c%d="x"}`, columns-1); s.Labels.String() != want {
		t.Errorf("series %v, want %s", s.Labels, want)
	}
	if r, err = NewReader(strings.NewReader("time_ms,metric"+head.String()+"\n"), CSV, ReadOptions{MaxLine: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	_, err = r.Next()
	if want := fmt.Sprintf(`"c37" and %d more; say`, columns-38); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%.100v…, want %s", err, want)
	}
	long := strings.Repeat("x", 1<<20)
	if r, err = NewReader(strings.NewReader(long), CSV, ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err = r.Next(); err == nil || len(err.Error()) > 1000 {
		t.Errorf("a heading of a MiB: %.200v…, want it shortened", err)
	}
}

// TestInTurn: rows of several series in turn, as tables by time have them.
func TestInTurn(t *testing.T) {
	var b strings.Builder
	b.WriteString("time_ms,metric,value,station\n")
	for i := range 3000 {
		fmt.Fprintf(&b, "%d,m,%d,s%d\n", i/3, i, i%3)
	}
	r, err := NewReader(strings.NewReader(b.String()), CSV, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, faults := readAll(t, r)
	if len(got) != 3000 || len(faults) > 0 {
		t.Fatalf("%d values, faults %v", len(got), faults)
	}
	for i, g := range got {
		if want := fmt.Sprintf(`s%d\"`, i%3); !strings.Contains(g, want) {
			t.Fatalf("row %d is %s, want station %s", i, g, want)
		}
	}
}
