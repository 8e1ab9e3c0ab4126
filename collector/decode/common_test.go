package decode

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"quantrac"
)

// libraryOnly is Lines by the library alone: what the scanner of common lines
// has to agree with.
func libraryOnly(payload []byte, p Precision, l Limits) (Result, error) {
	var out Result
	d := newLineDecoder(&out, payload, p, received, l)
	d.lib, d.names = lineprotocol.NewDecoder(&d.feed), map[string]string{}
	for ; d.lib.Next(); d.entries++ {
		if d.entries == d.limits.MaxRows {
			return Result{}, quantrac.Errorf(quantrac.Invalid, "line protocol: more than %d lines", d.entries)
		}
		number, start := d.feed.number, d.feed.start
		var row Row
		p, err := d.entry()
		if err == nil {
			row, err = p.row(received, &out)
		}
		if err != nil {
			d.fault(number, start, err)
		} else if len(row.Cells) > 0 {
			row.Index = number
			out.Rows = append(out.Rows, row)
		}
	}
	return out, nil
}

// agree decodes a payload by the library alone, without and with a memory of
// what came before, and of itself.
func agree(t *testing.T, m *Memo, payload []byte, p Precision, l Limits) {
	t.Helper()
	want, wantErr := libraryOnly(payload, p, l)
	got, err := Lines(payload, p, received, l)
	differ(t, "knowing nothing", payload, &got, &want, err, wantErr)
	for _, how := range []string{"with a memo", "a second time"} {
		err = m.Lines(&got, payload, p, received, l)
		differ(t, how, payload, &got, &want, err, wantErr)
	}
}

func differ(t *testing.T, how string, payload []byte, got, want *Result, err, wantErr error) {
	t.Helper()
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%q\n%s: error %v, the library's %v", payload, how, err, wantErr)
	}
	same := slices.EqualFunc(got.Rows, want.Rows, sameRow) && slices.Equal(got.Faults, want.Faults) &&
		got.Faulty == want.Faulty && got.Strings == want.Strings && got.Collided == want.Collided && got.MoreFaults == want.MoreFaults
	if !same {
		t.Fatalf("%q\n%s:\n%s\nthe library's:\n%s", payload, how, show(*got), show(*want))
	}
}

func sameRow(a, b Row) bool {
	return a.Index == b.Index && a.Time == b.Time && a.Stamped == b.Stamped && slices.Equal(a.Tags, b.Tags) &&
		slices.EqualFunc(a.Cells, b.Cells, func(a, b quantrac.Cell) bool {
			return a.Property == b.Property && a.Quality == b.Quality && math.Float64bits(a.Value) == math.Float64bits(b.Value)
		})
}

// TestCommonLines: which lines need no library.
func TestCommonLines(t *testing.T) {
	f := func(want bool, line string) {
		t.Helper()
		var out Result
		var m Memo
		m.forget()
		d := newLineDecoder(&out, []byte(line), Nanoseconds, received, Limits{})
		d.memo = &m
		d.common()
		if took := d.feed.end == len(line); took != want {
			t.Errorf("%q: taken as a common line: %v\n%s", line, took, show(out))
		}
		agree(t, &m, []byte(line), Nanoseconds, Limits{})
	}
	f(true, "station,district=d03,family=gauge,station=st-00017 water_level_meters=2.314,water_ph=7.01 1792540800000000000\n")
	f(true, "m v=1")
	f(true, "m v=1\r\nm v=2 5\r\n\n\nm v=3  6  \r")
	f(true, "mực_nước,trạm=Tân\u00a0Châu mét=-0 -1\n")
	f(true, "m,b=1,a=2 x=-0.0,y=-0i,z=9007199254740991i,w=12345678u")
	f(true, "m a=t,b=T,c=true,d=True,e=TRUE,f=f,g=F,h=false,i=False,j=FALSE")
	f(true, "m a=1.7976931348623157e308,b=4.9e-324")
	f(true, "m c=0.30000000000000004,d=123456789012345678901234567890")
	f(true, "m e=1E+5")
	f(true, "m a=1,b=2 1\nm b=2 1\nm c=1,a=2 1\nm b=1,b=2 1\nm a=1,b=2,c=3 1\nn a=1 1")
	f(true, "m s=\"text, 1\",v=1,t=\"\" 1\nm s=\"nước\" 2")
	f(false, "m s=\"a \\\"text\\\"\"")
	f(false, "m s=\"two\nlines\"")
	f(false, "m s=\"\xff\"")
	f(false, "m s=\"open")
	f(false, "m\\ x v=1")
	f(false, "m,__name__=x v=1")
	f(false, "m,a=1,a=1 v=1")
	f(false, "m v=9007199254740993i")
	f(false, "m v=0x1p-2")
	f(false, "m v=.5")
	f(false, "m v=1 9223372036854775808")
	f(false, "m v=1e999")
	f(false, "# m v=1")
	f(false, "m,a=\xff v=1")
	f(false, "m v=1 a\rb\nm w=2 7\n") // the library goes on behind the \r, in the same line
	f(false, "m,__name__=x s=\"\nm v=1 2\" 3\nm v=4 5")
}

// TestCommonCorpus decodes every recorded case both ways, one by one and all
// in one payload.
func TestCommonCorpus(t *testing.T) {
	var m Memo
	var all []byte
	cases := readCorpus(t)
	if len(cases) != 4363 {
		t.Fatalf("read %d cases, want 4363", len(cases))
	}
	for _, c := range cases {
		agree(t, &m, c.Input.Text, corpusPrecisions[c.Input.Precision], Limits{})
		all = append(append(all, c.Input.Text...), '\n')
	}
	agree(t, &m, all, Nanoseconds, Limits{MaxRows: 1 << 20, MaxFaults: 1 << 20})
}

// scraps are what lines are made of, and what spoils them.
var scraps = strings.Split("m|n|weather|a|b|t|level|__name__|=|=|=|,|,| | | |  |\n|\n|\r\n|\r|\"|\\|#|0|1|-|.|2.5|-0.25|1e3|E-2|i|u|7i|8u|true|F|T|"+
	"1792540800000000000|99999999999999999999|\x00|\t|é|\xff|a=1|b=2|,c=3|,a=1| 1000\n|m a=1,b=2|m,t=x a=1,b=2 7\n|m,t=x b=3 7\n|\"a\nb\"|\"x\"|s=\"x\"", "|")

// TestCommonScraps decodes payloads put together at random.
func TestCommonScraps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var m Memo
	for range 10_000 {
		var b []byte
		for range rnd.IntN(40) {
			b = append(b, scraps[rnd.IntN(len(scraps))]...)
		}
		agree(t, &m, b, Precision(rnd.IntN(6)), Limits{MaxRows: 1 + rnd.IntN(6), MaxCells: 1 + rnd.IntN(4), MaxFaults: 3})
	}
}

// TestCommonNumbers: every number is the float64 that strconv makes of it.
func TestCommonNumbers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 30_000 {
		text := fmt.Sprintf("%.*f", rnd.IntN(8), rnd.NormFloat64()*math.Pow(10, float64(rnd.IntN(8))))
		switch rnd.IntN(5) {
		case 2:
			text = strconv.FormatFloat(math.Abs(rnd.NormFloat64()*1000), 'f', -1, 64)
		case 0:
			text = strconv.FormatFloat(math.Float64frombits(rnd.Uint64()), 'g', -1, 64)
		case 1:
			text = strconv.FormatFloat(rnd.NormFloat64(), 'f', rnd.IntN(25), 64)
		}
		want, err := strconv.ParseFloat(text, 64)
		for _, behind := range []string{"", ",", " 1\n", ",a=1.25 1792540800000000000\n"} {
			got, end := value([]byte(text+behind), 0)
			if text[len(text)-1] == 'N' || text[len(text)-1] == 'f' || err != nil { // NaN, Inf
				if end >= 0 {
					t.Fatalf("%s: taken as %v", text, got)
				}
			} else if end != len(text) || math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%s: %v, ends at %d; want %v, %d", text, got, end, want, len(text))
			}
		}
	}
}

// TestMemoShares: rows of a series share labels, and names, with those before.
func TestMemoShares(t *testing.T) {
	var m Memo
	var a, b Result
	for _, out := range []*Result{&a, &b} {
		if err := m.Lines(out, []byte("m,s=x v=1,w=2 1\nm,s=y v=1,w=2 1\nm,s=x w=2 2\n"), Nanoseconds, received, Limits{}); err != nil || len(out.Rows) != 3 {
			t.Fatal(err, show(*out))
		}
	}
	for i := range a.Rows {
		if &a.Rows[i].Tags[0] != &b.Rows[i].Tags[0] {
			t.Errorf("row %d has labels of its own", i)
		}
	}
	if &a.Rows[0].Tags[0] != &a.Rows[2].Tags[0] {
		t.Error("two rows of one series have labels of their own")
	}
}

// TestMemoForgets: a Memo stays small whatever it is sent, and right.
func TestMemoForgets(t *testing.T) {
	var m Memo
	var out Result
	n, forgot := 0, 0
	for range 40 {
		var b []byte
		for range 1000 {
			n++
			b = fmt.Appendf(b, "m%d,station=s%d,x=%0500d v%d=1,w%d=2 %d\n", n, n, n, n, n, n)
		}
		before := m.bytes
		if err := m.Lines(&out, b, Nanoseconds, received, Limits{}); err != nil || len(out.Rows) != 1000 {
			t.Fatal(err, len(out.Rows))
		}
		if m.bytes < before {
			forgot++
		}
		if m.bytes > memoBytes {
			t.Fatalf("remembers %d bytes", m.bytes)
		}
		if want := fmt.Sprintf("m%d_w%d", n, n); out.Rows[999].Cells[1].Property != want {
			t.Fatalf("%s, want %s", show(Result{Rows: out.Rows[999:]}), want)
		}
	}
	if forgot == 0 {
		t.Error("never forgot anything")
	}
}

func FuzzCommon(f *testing.F) {
	for _, s := range []string{
		"m,a=1,b=2 v=1,w=2i,x=t,s=\"a\nb\" 1\n# c\n\nm v=1", "bad\nm v=1 0\r\n\r", "m,a=\\ ,b=\\= f=\"\\\"\" -1",
		"station,district=d03,station=st-1 level=2.314,ph=7.01 1792540800000000000\nstation,district=d03,station=st-2 level=2.3,ph=7 1792540800000000000\n",
		"m a=1,b=2 1\nm b=2 1\nm c=1,a=2,a=7 1\nm,__name__=x s=\"\nm v=1\" 2\nm v=1e5,w=-0,x=-0i 3", "m v=9007199254740993i,w=.5,x=1.,y=0x1p-2,z=1_0 1-1\n",
	} {
		f.Add([]byte(s), uint8(0))
	}
	f.Fuzz(func(t *testing.T, payload []byte, p uint8) {
		var m Memo
		agree(t, &m, payload, Precision(p%6), Limits{MaxRows: 50, MaxCells: 20, MaxFaults: 10})
		// The same lines in another order: what is known was learned elsewhere.
		lines := bytes.SplitAfter(payload, newline)
		slices.Reverse(lines)
		agree(t, &m, slices.Concat(lines...), Precision(p%6), Limits{})
	})
}

// BenchmarkMemo decodes lines of five values of series that are known.
func BenchmarkMemo(b *testing.B) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var payloads [][]byte
	for k := range 8 {
		var p []byte
		for i := range 5000 {
			p = fmt.Appendf(p, "station,district=d%02d,family=gauge,station=st-%05d water_level_m=%.3f,temperature_c=%.1f,ph=%.2f,battery_v=%.2f,insect_count=%d %d\n",
				i%12, i%2000, rnd.Float64()*4, rnd.Float64()*30, rnd.Float64()*9, rnd.Float64()*15, rnd.IntN(30), 1792540800000000000+int64(k*3+i/2000)*600e9)
		}
		payloads = append(payloads, p)
	}
	var m Memo
	var out Result
	b.SetBytes(int64(len(payloads[0])))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := m.Lines(&out, payloads[i%len(payloads)], Nanoseconds, received, Limits{}); err != nil || len(out.Rows) != 5000 {
			b.Fatal(err)
		}
	}
}

// Of very many series in turn nothing is remembered, and every line comes out
// right all the same; a few that come again and again are remembered then.
func TestMemoPasses(t *testing.T) {
	var m Memo
	var out Result
	line := 0
	send := func(series int) {
		t.Helper()
		var b []byte
		for range 5000 {
			b = fmt.Appendf(b, "m,station=s%06d,x=%0200d v=%d %d\n", line%series, 1, line, line)
			line++
		}
		if err := m.Lines(&out, b, Milliseconds, received, Limits{}); err != nil || len(out.Rows) != 5000 {
			t.Fatal(err, len(out.Rows))
		}
		for i, r := range out.Rows {
			n := line - 5000 + i
			if want := fmt.Sprintf("s%06d", n%series); r.Tags.Station() != want || r.Cells[0].Value != float64(n) {
				t.Fatalf("line %d is %s", n, show(Result{Rows: out.Rows[i : i+1]}))
			}
		}
	}
	for m.passes == 0 {
		if send(1 << 20); line > 1<<18 {
			t.Fatal("everything is remembered for ever")
		}
	}
	if send(1 << 20); m.bytes > memoBytes/16 {
		t.Errorf("%d bytes of what came once", m.bytes)
	}
	for m.passes > 0 {
		send(10)
	}
	send(10)
	if n := len(m.heads); n < 10 || n > 20 {
		t.Errorf("%d heads are known where 10 come again and again", n)
	}
}

// Once remembering was of no use only some lines' heads are remembered, in less
// memory, until they come again: then all.
func TestMemoTries(t *testing.T) {
	var m Memo
	var out Result
	send := func(from, to int) {
		t.Helper()
		var b []byte
		for i := from; i < to; i++ {
			b = fmt.Appendf(b, "m,station=s%06d,x=%0900d v=%d 7\n", i, 1, i)
		}
		if err := m.Lines(&out, b, Milliseconds, received, Limits{}); err != nil || len(out.Rows) != to-from {
			t.Fatal(err, len(out.Rows))
		}
		for i, r := range out.Rows {
			if want := fmt.Sprintf("s%06d", from+i); r.Tags.Station() != want || r.Cells[0].Value != float64(from+i) {
				t.Fatalf("line %d is %s", from+i, show(Result{Rows: out.Rows[i : i+1]}))
			}
		}
	}
	send(0, 1000)
	m.forget() // as when there is no more room
	if !m.trial || m.passes == 0 {
		t.Fatal("what was of no use is remembered again")
	}
	m.passes = 0
	send(1000, 2000)
	if n := len(m.heads); n < 1000/trialHeads-1 || n > 1000/trialHeads+1 || !m.trial {
		t.Errorf("%d heads of 1000 are remembered, on trial %v", n, m.trial)
	}
	for range 4 {
		send(1000, 2000)
	}
	if m.trial || len(m.heads) != 1000 {
		t.Errorf("%d heads of 1000 that come again are remembered, on trial %v", len(m.heads), m.trial)
	}
	if m.forget(); m.trial || m.passes > 0 {
		t.Error("what was of use is not remembered again")
	}
}
