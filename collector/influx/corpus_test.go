package influx

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"

	"quantrac"
	"quantrac/collector"
	"quantrac/internal/shared"
)

// recordedCase is one case of the line protocol corpus: a body, and the points
// that the library of reference makes of it, or its error.
type recordedCase struct {
	Input struct {
		Key         string
		Text        text
		DefaultTime int64
		Precision   string
	}
	Output struct {
		Result []recordedPoint
		Error  string
	}
}

type recordedPoint struct {
	Time   int64
	Name   text
	Tags   []struct{ Key, Value text }
	Fields []struct {
		Key   text
		Value map[string]json.RawMessage
	}
}

// text is a string, or {binary: base64} where it is not UTF-8.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var o struct{ Binary []byte }
		err := json.Unmarshal(b, &o)
		*t = text(o.Binary)
		return err
	}
	return json.Unmarshal(b, (*string)(t))
}

// TestCorpus sends each recorded case to both versions of the write and checks
// status, body and what is stored against the recording.
func TestCorpus(t *testing.T) {
	f, err := os.Open(shared.Path(t, "payload_corpora", "line_protocol", "decode_cases.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	differ := readDifferences(t)
	sc := bufio.NewScanner(z)
	sc.Buffer(nil, 1<<20)
	n, counts := 0, map[int]int{}
	for sc.Scan() {
		var c recordedCase
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		n++
		for _, target := range []string{"/write?db=d&precision=", "/api/v2/write?bucket=b&precision="} {
			h, s := caseHandler(t, c)
			w := do(h, "POST", target+strings.TrimPrefix(c.Input.Precision, "1"), string(c.Input.Text))
			counts[w.Code]++
			if why := judge(c, w, s, strings.HasPrefix(target, "/api"), differ[c.Input.Key]); why != "" {
				t.Errorf("%s %q: %s\n%d %s\nstored\n%s", c.Input.Key, c.Input.Text, why, w.Code, w.Body, s.text())
			}
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	if n != 4363 {
		t.Errorf("%d cases, want 4363", n)
	}
	t.Logf("%d cases, both versions; answers by status: %v", n, counts)
}

// readDifferences returns the cases in which our decoder differs from the
// recording; the decoder's own test holds the list to be exact.
func readDifferences(t *testing.T) map[string]bool {
	raw, err := os.ReadFile("../decode/testdata/line_differences.json")
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]struct{ Why string }
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for k := range list {
		out[k] = true
	}
	return out
}

func caseHandler(t *testing.T, c recordedCase) (*Handler, *store) {
	s := &store{}
	unit := map[string]int64{"1ns": 1, "1us": 1e3, "1ms": 1e6, "1s": 1e9}[c.Input.Precision]
	now := quantrac.Millis(floorDiv(c.Input.DefaultTime/unit*unit, 1e6))
	col := collector.New(s, nobody{}, nobody{}, quantrac.NewManualClock(now), collector.Options{})
	t.Cleanup(func() { col.Close() })
	return New(col, Options{}), s
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// judge says what is wrong with an answer, "" if nothing.
func judge(c recordedCase, w *httptest.ResponseRecorder, s *store, v2, differs bool) string {
	if w.Code == 500 || w.Code == 503 {
		return "a failure of ours"
	}
	if w.Code >= 400 {
		var body struct {
			Error, Message string
			Data           []lineError
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			return "error body is no JSON: " + err.Error()
		}
		if (body.Error == "") == !v2 || len(body.Data) == 0 || body.Data[0].LineNumber < 1 || body.Data[0].ErrorMessage == "" {
			return "error body does not name the bad line"
		}
		if stored := s.text() != ""; stored != strings.Contains(body.Error+body.Message, "partial write") {
			return "the answer does not say whether something was stored"
		}
	}
	if differs {
		return ""
	}
	if c.Output.Error != "" {
		if w.Code < 400 {
			return "recorded as an error: " + c.Output.Error
		}
		return ""
	}
	want, refused := wanted(c)
	if got := s.text(); got != want {
		return "wanted stored\n" + want
	}
	if (w.Code >= 400) != refused {
		return fmt.Sprintf("recorded without an error; our own rules refuse a value: %v", refused)
	}
	return ""
}

// wanted writes what of the recorded points our rules store, and whether they
// refuse something: integers beyond 2^53, label sets that cannot be a series, a
// tag given twice or one that names the metric.
func wanted(c recordedCase) (stored string, refused bool) {
	var lines []string
	for _, p := range c.Output.Result {
		pairs := []string{}
		seen := map[text]bool{}
		bad := false
		for _, tag := range p.Tags {
			bad = bad || seen[tag.Key] || tag.Key == quantrac.LabelMetric
			seen[tag.Key] = true
			pairs = append(pairs, string(tag.Key), string(tag.Value))
		}
		group := quantrac.NewLabels(pairs...)
		cells := map[string]float64{}
		for _, f := range p.Fields {
			name := string(p.Name) + "_" + string(f.Key)
			v, ok, text := number(f.Value)
			switch {
			case text:
				continue
			case !ok:
				bad = true
				continue
			}
			if group.With(quantrac.LabelMetric, name).Validate() != nil {
				bad = true
			}
			cells[name] = v
		}
		if bad {
			refused = true
			continue
		}
		for name, v := range cells {
			lines = append(lines, fmt.Sprintf("%s %v @%d", group.With(quantrac.LabelMetric, name), v, floorDiv(p.Time, 1e6)))
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n"), refused
}

// number returns a recorded field as float64; ok is false where it has none
// that is exact.
func number(v map[string]json.RawMessage) (f float64, ok, isText bool) {
	for kind, raw := range v {
		s := strings.Trim(string(raw), `"`)
		switch kind {
		case "string":
			return 0, false, true
		case "bool":
			if s == "true" {
				return 1, true, false
			}
			return 0, true, false
		case "int":
			n, err := strconv.ParseInt(s, 10, 64)
			return float64(n), err == nil && n >= -1<<53 && n <= 1<<53, false
		case "uint":
			n, err := strconv.ParseUint(s, 10, 64)
			return float64(n), err == nil && n <= 1<<53, false
		case "float":
			f, err := strconv.ParseFloat(s, 64)
			return f, err == nil && !math.IsNaN(f), false
		}
	}
	return 0, false, false
}
