package decode

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"quantrac"
)

const received = quantrac.Millis(1_750_000_000_000)

// show writes a result in one line per row and fault.
func show(r Result) string {
	var b strings.Builder
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%d @%d", row.Index, row.Time)
		if row.Stamped {
			b.WriteString(" stamped")
		}
		if len(row.Tags) > 0 {
			fmt.Fprintf(&b, " %s", row.Tags)
		}
		for _, c := range row.Cells {
			fmt.Fprintf(&b, " %s=%v", c.Property, c.Value)
			if c.Quality != quantrac.NotEvaluated {
				fmt.Fprintf(&b, "(%s)", c.Quality)
			}
		}
		b.WriteByte('\n')
	}
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "! %s\n", f)
	}
	if r.Faulty+r.Strings+r.Collided+r.MoreFaults > 0 {
		fmt.Fprintf(&b, "faulty %d strings %d collided %d more %d\n", r.Faulty, r.Strings, r.Collided, r.MoreFaults)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestJSON(t *testing.T) {
	f := func(payload, want string) {
		t.Helper()
		r, err := JSON([]byte(payload), received, Limits{})
		got := show(r)
		if err != nil {
			got = "error: " + err.Error()
			if quantrac.KindOf(err) != quantrac.Invalid {
				t.Errorf("%s: error of kind %s", payload, quantrac.KindOf(err))
			}
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", payload, got, want)
		}
	}
	// Rows as they should be.
	f(`{"time":"2026-07-01T07:00:00+07:00","values":{"water_level_meters":2.314}}`, `0 @1782864000000 water_level_meters=2.314`)
	f(`{"time":"2026-07-01T00:00:00.0019Z","values":{"a":1}}`, `0 @1782864000001 a=1`)
	f(`{"time":1782864000000,"values":{"a":-0.5e-3,"b":true,"c":false,"d":null}}`, `0 @1782864000000 a=-0.0005 b=1 c=0 d=NaN(missing)`)
	f(` [ {"time":1,"values":{"a":1}} , {"values":{"b":2},"time":2} ] `, "0 @1 a=1\n1 @2 b=2")
	f(`{"time":-0.5,"values":{"a":1}}`, `0 @-1 a=1`)
	f(`[{"simulated":true,"time":1,"values":{"a":1}},{"time":2,"values":{"a":1},"simulated":true},{"simulated":false,"time":3,"values":{"a":1}}]`,
		"0 @1 {simulated=\"true\"} a=1\n1 @2 {simulated=\"true\"} a=1\n2 @3 a=1")
	f(`{"simulated":"yes","time":1,"values":{"a":1}}`, "! row 0, simulated: text where true or false is expected\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"simulated":true,"time":1,"values":{"a":1},"simulated":false}`, "! row 0, simulated: given twice\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":1.7e12,"values":{"a":1}}`, `0 @1700000000000 a=1`)
	f(`{"values":{"a":1}}`, `0 @1750000000000 stamped a=1`)
	f(`{"time":1,"values":{"m\u1EF1c_n\u01B0\u1EDBc":1,"\ud83d\ude00":2,"\ud83dx":3}}`, "0 @1 mực_nước=1 😀=2 \uFFFDx=3")
	f(`{"time":1,"values":{"a":9007199254740992,"b":-9007199254740992,"c":1e300}}`, `0 @1 a=9.007199254740992e+15 b=-9.007199254740992e+15 c=1e+300`)

	// Parts left out, the rest kept.
	f(`{"time":1,"values":{"a":"NaN","b":2,"c":[1],"d":{"x":1}}}`,
		"0 @1 b=2\n! row 0, a: text where a number, true, false or null is expected\n! row 0, c: an array where a number, true, false or null is expected\n! row 0, d: an object where a number, true, false or null is expected")
	f(`{"time":1,"values":{"a":9007199254740993,"b":1e999,"c":1}}`,
		"0 @1 c=1\n! row 0, a: integer 9007199254740993 is beyond ±2^53 and cannot be kept exactly\n! row 0, b: number 1e999 is beyond what a float64 can hold")
	f(`{"time":1,"values":{"a":1,"b":2,"a":1}}`, "0 @1 b=2\n! row 0, a: given twice in one row, at byte 32 again; neither is kept")
	f(`{"time":1,"values":{"a":"x","b":2,"a":1}}`, "0 @1 b=2\n! row 0, a: text where a number, true, false or null is expected\n! row 0, a: given twice in one row, at byte 34 again; neither is kept")
	f(`{"time":1,"battery":3.6,"values":{"a":1}}`, "0 @1 a=1\n! row 0, battery: unknown member; a row has time and values")
	f(`[{"time":1,"values":{"a":1}},7,{"time":2,"values":{"a":2}}]`, "0 @1 a=1\n2 @2 a=2\n! row 1: a number where a row is expected\nfaulty 1 strings 0 collided 0 more 0")
	f(`[{"time":"07:00 01/07/2026","values":{"a":1}},{"time":2,"values":{"a":2}}]`,
		"1 @2 a=2\n! row 0, time: \"07:00 01/07/2026\" is not RFC 3339 with an offset, such as 2026-07-01T07:00:00+07:00\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":null,"values":{"a":1}}`, "! row 0, time: null where RFC 3339 or Unix milliseconds is expected; leave it out where the station has no clock\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":1e30,"values":{"a":1}}`, "! row 0, time: 1e30 milliseconds are out of range\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":99999999999999999999,"values":{"a":1}}`, "! row 0, time: 99999999999999999999 milliseconds are out of range\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":1,"time":2,"values":{"a":1}}`, "! row 0, time: given twice\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":1,"values":{"a":1},"values":{"b":1}}`, "! row 0, values: given twice\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":1}`, "! row 0, values: missing\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":1,"values":{}}`, "! row 0, values: empty\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":1,"values":[1]}`, "! row 0, values: an array where an object of properties is expected\nfaulty 1 strings 0 collided 0 more 0")
	f(`{"time":1,"values":{"":1,"a":1}}`, "0 @1 a=1\n! row 0, values: property without a name")
	f(`{"time":1,"values":{"`+strings.Repeat("x", 129)+`":1,"a":1}}`, "0 @1 a=1\n! row 0, values: property name of 129 bytes, at most 128 are kept")

	// Nothing at all.
	f(``, `error: JSON, byte 0: ends where a row or an array of rows is expected`)
	f(`[]`, `error: JSON: no row`)
	f(`7`, `error: JSON, byte 0: a number where a row or an array of rows is expected`)
	f(`hello`, `error: JSON, byte 0: 'h' where a row or an array of rows is expected`)
	f(`{"time":1,"values":{"a":NaN}}`, `error: JSON, byte 24: 'N' where a value is expected`)
	f(`{"time":1,"values":{"a":01}}`, `error: JSON, byte 25: '1' where ',' or '}' is expected`)
	f(`{"time":1,"values":{"a":1,}}`, `error: JSON, byte 26: '}' where text in quotes is expected`)
	f(`{"time":1,"values":{"a":1}} x`, `error: JSON, byte 28: 'x' where the end is expected`)
	f("{\"time\":1,\"values\":{\"a\":1}}\x00", `error: JSON, byte 27: '\x00' where the end is expected`)
	f(`{"time":1,"values":{"a":1`, `error: JSON, byte 25: ends where ',' or '}' is expected`)
	f("{\"a\tb\":1}", `error: JSON, byte 3: control character '\t' inside text; it must be escaped`)
	f(`{"a\x":1}`, `error: JSON, byte 4: 'x' where one of "\/bfnrtu after a backslash is expected`)
	f("{\"time\":1,\"values\":{\"\xff\":1}}", `error: JSON: payload is not UTF-8`)
	f("\xEF\xBB\xBF{}", "error: JSON, byte 0: 'ï' where a row or an array of rows is expected")
	f(`{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`, `error: JSON, byte 20: nested more than 16 deep`)
}

func TestJSONLimits(t *testing.T) {
	many := "[" + strings.Repeat(`{"time":1,"values":{"a":1}},`, 4) + `{"time":1,"values":{"a":1}}]`
	if _, err := JSON([]byte(many), received, Limits{MaxRows: 4}); err == nil || !strings.Contains(err.Error(), "more than 4 rows") {
		t.Errorf("rows: %v", err)
	}
	if _, err := JSON([]byte(many), received, Limits{MaxRows: 5}); err != nil {
		t.Errorf("five rows of five: %v", err)
	}
	if _, err := JSON([]byte(`{"values":{"a":1,"b":1,"c":1}}`), received, Limits{MaxCells: 2}); err == nil || !strings.Contains(err.Error(), "row 0 has more than 2 values") {
		t.Errorf("cells: %v", err)
	}
	r, err := JSON([]byte(`{"values":{"a":"","b":"","c":"","d":1}}`), received, Limits{MaxFaults: 1})
	if err != nil || len(r.Faults) != 1 || r.MoreFaults != 2 || len(r.Rows) != 1 {
		t.Errorf("faults: %v %+v", err, r)
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"time":"2026-07-01T07:00:00+07:00","values":{"water_level_meters":2.314}}`,
		`[{"time":1,"values":{"a":1e5,"b":null}},{"values":{"c":true}},3,"x",{}]`,
		`{"a":"\ud83d\ude00\n","a":{"b":[[]]}}`, `{"time":1,"values":{"a":1,"a":2}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := JSON(payload, received, Limits{MaxRows: 50, MaxCells: 20, MaxFaults: 10})
		if err == nil && !json.Valid(payload) {
			t.Fatalf("took %q, which is not JSON", payload)
		}
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Invalid {
				t.Fatalf("error without its kind: %v", err)
			}
			var v any
			if d := json.Unmarshal(payload, &v); d == nil && utf8.Valid(payload) && plainRow(v) {
				t.Fatalf("refused %q: %v", payload, err)
			}
		}
		checkResult(t, r)
	})
}

// plainRow says whether a decoded payload is one object with few members, flat
// enough that no limit can be the reason to refuse it.
func plainRow(v any) bool {
	o, ok := v.(map[string]any)
	if !ok || len(o) > 10 {
		return false
	}
	for _, m := range o {
		switch m.(type) {
		case map[string]any, []any:
			return false
		}
	}
	return true
}

// checkResult checks what holds for every result, whatever the payload.
func checkResult(t *testing.T, r Result) {
	t.Helper()
	for _, row := range r.Rows {
		if len(row.Cells) == 0 {
			t.Fatalf("row %d without a cell", row.Index)
		}
		if row.Time <= quantrac.MinMillis || row.Time >= quantrac.MaxMillis {
			t.Fatalf("row %d at %d", row.Index, row.Time)
		}
		if err := row.Tags.Validate(); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, c := range row.Cells {
			if seen[c.Property] || checkProperty(c.Property) != "" {
				t.Fatalf("row %d: property %q", row.Index, c.Property)
			}
			seen[c.Property] = true
			if math.IsInf(c.Value, 0) || math.IsNaN(c.Value) != (c.Quality == quantrac.Missing) {
				t.Fatalf("row %d: %s = %v, %s", row.Index, c.Property, c.Value, c.Quality)
			}
		}
	}
	for _, f := range r.Faults {
		if f.Reason == "" || len(f.Text) > MaxFaultText+8 {
			t.Fatalf("fault %+v", f)
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	payload := []byte(`{"time":"2026-07-01T07:00:00+07:00","values":{"water_level_meters":2.314,"rainfall_millimeters":0,"temperature_celsius":28.4}}`)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := JSON(payload, received, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
