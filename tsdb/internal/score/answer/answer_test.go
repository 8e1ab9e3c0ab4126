package answer

import (
	"math"
	"strings"
	"testing"
)

const matrix = `{"status":"success","data":{"resultType":"matrix","result":[
 {"metric":{"__name__":"x","station":"b"},"values":[[1792540800,"1.5"],[1792541400.001,"NaN"]]},
 {"metric":{"station":"a","area":"n"},"values":[[1792540800,"-2e-3"]]}]}}`

func parsed(t *testing.T, body string) Answer {
	t.Helper()
	a, err := Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParse(t *testing.T) {
	a := parsed(t, matrix)
	b := a[`{station="b"}`]
	if len(a) != 2 || a.Values() != 3 || len(b) != 2 || b[0] != (Point{1792540800000, 1.5}) || b[1].At != 1792541400001 || !math.IsNaN(b[1].Value) {
		t.Errorf("got %v", a)
	}
	if got := a[`{area="n",station="a"}`]; len(got) != 1 || got[0].Value != -0.002 {
		t.Errorf("got %v", got)
	}
	v := parsed(t, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[7,"3"]}]}}`)
	if got := v["{}"]; len(got) != 1 || got[0] != (Point{7000, 3}) {
		t.Errorf("got %v", v)
	}
	l := parsed(t, `{"status":"success","data":["s2","s1"]}`)
	if _, ok := l["s1"]; !ok || len(l) != 2 {
		t.Errorf("got %v", l)
	}
}

func TestParseErrors(t *testing.T) {
	for body, want := range map[string]string{
		`{"status":"error","error":"too many series"}`: "too many series",
		`<html>`:                                "answer",
		`{"status":"success","data":["a","a"]}`: "different",
		`{"status":"success","data":{"result":"none"}}`:                                                    "cannot unmarshal",
		`{"status":"success","data":{"result":[{"metric":{"__name__":"a"}},{"metric":{"__name__":"b"}}]}}`: "twice",
		`{"status":"success","data":{"result":[{"metric":{},"values":[[1,"x"]]}]}}`:                        "no point",
		`{"status":"success","data":{"result":[{"metric":{},"values":[[1]]}]}}`:                            "no point",
	} {
		if a, err := Parse([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want an error with %q", body, a, err, want)
		}
	}
}

func TestCompare(t *testing.T) {
	base := Answer{"a": {{1, 1}, {2, 2}}, "b": {{1, math.NaN()}}}
	for _, c := range []struct {
		name      string
		got       Answer
		tolerance float64
		want      string
	}{
		{"equal", base, 0, ""},
		{"series missing", Answer{"a": base["a"]}, 0, "no series b (1 series, wanted 2)"},
		{"series too many", Answer{"a": base["a"], "b": base["b"], "c": nil}, -1, "a series c too many (3 series, wanted 2)"},
		{"value", Answer{"a": {{1, 1}, {2, 2.0000001}}, "b": base["b"]}, 0, "a is 2.0000001 at 2, wanted 2"},
		{"value within", Answer{"a": {{1, 1}, {2, 2.0000001}}, "b": base["b"]}, 1e-6, ""},
		{"value beyond", Answer{"a": {{1, 1}, {2, 2.1}}, "b": base["b"]}, 1e-6, "a is 2.1 at 2, wanted 2"},
		{"not a number", Answer{"a": base["a"], "b": {{1, 5}}}, 1e-6, "b is 5 at 1, wanted NaN"},
		{"values not looked at", Answer{"a": {{1, 5}, {2, 5}}, "b": {{1, 5}}}, -1, ""},
		{"time", Answer{"a": {{1, 1}, {3, 2}}, "b": base["b"]}, -1, "a has a value at 3, wanted the next at 2"},
		{"too few", Answer{"a": {{1, 1}}, "b": base["b"]}, -1, "a ends before 2 (1 values, wanted 2)"},
		{"too many", Answer{"a": {{1, 1}, {2, 2}, {3, 3}}, "b": base["b"]}, -1, "a has 3 values, wanted 2; the first too many is at 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Compare(c.got, base, c.tolerance); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
