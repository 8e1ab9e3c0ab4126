package decode

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"quantrac"
)

func TestLines(t *testing.T) {
	f := func(payload, want string) {
		t.Helper()
		r, err := Lines([]byte(payload), Nanoseconds, received, Limits{})
		got := show(r)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", payload, got, want)
		}
	}
	f("", "")
	f("\n# a comment\n   \n", "")
	f("water,station=tq level_meters=2.3 1782864000000000000", `1 @1782864000000 {station="tq"} water_level_meters=2.3`)
	f("water level_meters=2.3", "1 @1750000000000 stamped water_level_meters=2.3")
	f("m a=1i,b=2u,c=t,d=F,e=1e3 1999999\n", "1 @1 m_a=1 m_b=2 m_c=1 m_d=0 m_e=1000")
	f("m a=1 -1", "1 @-1 m_a=1")
	f("m a=1 -1000000", "1 @-1 m_a=1")
	f("m a=1 -1000001", "1 @-2 m_a=1")
	f(`m,b=2,a=1 s="text, with \"quotes\"",v=1 0`, "1 @0 {a=\"1\", b=\"2\"} m_v=1\nfaulty 0 strings 1 collided 0 more 0")
	f(`m s="only text" 0`, "faulty 0 strings 1 collided 0 more 0")
	f(`my\ metric,tag\,x=va\=l fi\ eld=1 0`, `1 @0 {"tag,x"="va=l"} my metric_fi eld=1`)
	f("m a=1,b=2,a=3 0", "1 @0 m_a=3 m_b=2\nfaulty 0 strings 0 collided 1 more 0")

	// Line numbers hold over comments, blank lines and text over several lines.
	f("# c\n\nm s=\"one\ntwo\nthree\",v=1 0\nbad\nm v=2 0\r\nm v=9007199254740993i 0\nm v=3 0",
		"3 @0 m_v=1\n7 @0 m_v=2\n9 @0 m_v=3\n! row 6: at line 6:4: expected tag key or field but found '\\n' instead\n"+
			"! row 8: field \"v\": integer 9007199254740993 is beyond ±2^53 and cannot be kept exactly\nfaulty 2 strings 1 collided 0 more 0")
	f("m v=-9007199254740992i 0\nm v=-9007199254740993i 0\nm v=9007199254740993u 0",
		"1 @0 m_v=-9.007199254740992e+15\n! row 2: field \"v\": integer -9007199254740993 is beyond ±2^53 and cannot be kept exactly\n"+
			"! row 3: field \"v\": integer 9007199254740993 is beyond ±2^53 and cannot be kept exactly\nfaulty 2 strings 0 collided 0 more 0")
	f("CREATE DATABASE x\nm v=1 0", "2 @0 m_v=1\n! row 1: at line 1:16: want '=' after field key \"DATABASE\", found ' '\nfaulty 1 strings 0 collided 0 more 0")
	f("m v=NaN 0", "! row 1: at line 1:5: field value has unrecognized type\nfaulty 1 strings 0 collided 0 more 0")
	f("m v=1e999 0", "! row 1: at line 1:5: cannot parse value for field key \"v\": line-protocol value out of range\nfaulty 1 strings 0 collided 0 more 0")
	f("m,a=1,b=2,a=1 v=1 0", "! row 1: duplicate tag key \"a\"\nfaulty 1 strings 0 collided 0 more 0")
	f("m,__name__=x v=1 0", "! row 1: tag \"__name__\": the metric's name comes from measurement and field\nfaulty 1 strings 0 collided 0 more 0")
	f("m v=1 9223372036854775808", "! row 1: timestamp out of range: it must lie between the years 1677 and 2262\nfaulty 1 strings 0 collided 0 more 0")
	f("m v=1 1-1", "! row 1: timestamp \"1-1\" is no integer\nfaulty 1 strings 0 collided 0 more 0")
	f("m v=1 0 extra", "! row 1: at line 1:9: unexpected text after timestamp (\"extra\")\nfaulty 1 strings 0 collided 0 more 0")
	f("m "+strings.Repeat("f", 130)+"=1", "! row 1: field \""+strings.Repeat("f", 64)+"…\": property name of 132 bytes, at most 128 are kept\nfaulty 1 strings 0 collided 0 more 0")
	f("m,t="+strings.Repeat("x", 1025)+" f=1", "! row 1: label \"t\" has a value of 1025 bytes, at most 1024 are kept\nfaulty 1 strings 0 collided 0 more 0")
}

func TestLinesPrecision(t *testing.T) {
	f := func(p Precision, stamp string, want quantrac.Millis) {
		t.Helper()
		r, err := Lines([]byte("m v=1 "+stamp), p, received, Limits{})
		if err != nil || len(r.Rows) != 1 || r.Rows[0].Time != want {
			t.Errorf("precision %d, %s: %v %+v, want %d", p, stamp, err, r, want)
		}
	}
	f(Nanoseconds, "1999999", 1)
	f(Microseconds, "1999", 1)
	f(Microseconds, "-1", -1)
	f(Milliseconds, "1999", 1999)
	f(Seconds, "2", 2000)
	f(Minutes, "-1", -60_000)
	f(Hours, "1", 3_600_000)
	r, err := Lines([]byte("m v=1 9223372037"), Seconds, received, Limits{})
	if err != nil || len(r.Faults) != 1 || r.Faults[0].Reason != errTimeRange.Error() {
		t.Errorf("seconds out of range: %v %+v", err, r)
	}
}

func TestLinesLimits(t *testing.T) {
	if _, err := Lines([]byte(strings.Repeat("m v=1 0\n", 6)), Nanoseconds, received, Limits{MaxRows: 5}); err == nil || !strings.Contains(err.Error(), "more than 5 lines") {
		t.Errorf("lines: %v", err)
	}
	if _, err := Lines([]byte("#\n\n"+strings.Repeat("m v=1 0\n", 5)), Nanoseconds, received, Limits{MaxRows: 5}); err != nil {
		t.Errorf("five of five lines: %v", err)
	}
	var fields, tags []string
	for i := range 40 {
		fields = append(fields, fmt.Sprintf("f%d=1", i))
		tags = append(tags, fmt.Sprintf("t%d=1", i))
	}
	r, err := Lines([]byte("m "+strings.Join(fields, ",")+" 0\nm,"+strings.Join(tags, ",")+" v=1 0"), Nanoseconds, received, Limits{MaxCells: 39})
	if err != nil || len(r.Faults) != 2 || r.Faults[0].Reason != "more than 39 fields" || r.Faults[1].Reason != "more than 31 tags" {
		t.Errorf("fields and tags: %v %+v", err, r)
	}
}

// A line longer than the decoder's buffer arrives in pieces; its number and
// text must hold all the same.
func TestLinesLong(t *testing.T) {
	long := `m s="` + strings.Repeat("x", 100_000) + `",v=9007199254740993i 0`
	r, err := Lines([]byte("m v=1 0\n"+long+"\nm v=2 0"), Nanoseconds, received, Limits{})
	if err != nil || len(r.Rows) != 2 || r.Rows[1].Index != 3 || len(r.Faults) != 1 || r.Faults[0].Row != 2 {
		t.Fatalf("%v %s", err, show(r))
	}
	if !strings.HasPrefix(long, strings.TrimSuffix(r.Faults[0].Text, "…")) || len(r.Faults[0].Text) != MaxFaultText+len("…") {
		t.Errorf("text %q", r.Faults[0].Text)
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{
		"m,a=1,b=2 v=1,w=2i,x=t,s=\"a\nb\" 1\n# c\n\nm v=1", "bad\nm v=1 0\r\n\r", "m,a=\\ ,b=\\= f=\"\\\"\" -1",
	} {
		f.Add([]byte(s), uint8(0))
	}
	f.Fuzz(func(t *testing.T, payload []byte, p uint8) {
		r, err := Lines(payload, Precision(p%6), received, Limits{MaxRows: 50, MaxCells: 20, MaxFaults: 10})
		if err != nil && quantrac.KindOf(err) != quantrac.Invalid {
			t.Fatalf("error without its kind: %v", err)
		}
		checkResult(t, r)
		lines := bytes.Count(payload, []byte("\n")) + 1
		for _, row := range r.Rows {
			if row.Index < 1 || row.Index > lines {
				t.Fatalf("row of line %d of %d", row.Index, lines)
			}
		}
		for _, fa := range r.Faults {
			if fa.Row < 1 || fa.Row > lines {
				t.Fatalf("fault of line %d of %d", fa.Row, lines)
			}
		}
	})
}

func BenchmarkLines(b *testing.B) {
	var p []byte
	for i := range 1000 {
		p = fmt.Appendf(p, "gauge,station=s%d,sensor=a level_meters=%d.%03d,battery_volts=3.6,temperature_celsius=28.4 17828640%05d000000\n", i%50, i%7, i, i)
	}
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Lines(p, Nanoseconds, received, Limits{})
		if err != nil || len(r.Rows) != 1000 {
			b.Fatal(err)
		}
	}
}
