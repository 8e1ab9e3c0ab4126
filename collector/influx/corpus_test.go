package influx

import (
	"encoding/json"
	"fmt"
	"os"
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

// variant is a way to send a body.
type variant struct{ v2, whole bool }

func (v variant) target(c recordedCase) string {
	target := "/write?db=d"
	if v.v2 {
		target = "/api/v2/write?bucket=b"
	}
	if v.whole {
		target += "&accept_partial=false"
	}
	return target + "&precision=" + strings.TrimPrefix(c.Input.Precision, "1")
}

// TestCorpus sends each recorded case to both versions of the write, as a whole
// and in part, and checks status, body and what is stored: against the
// recording as far as that goes, and beyond a bad line, where it ends, against
// what each line says on its own.
func TestCorpus(t *testing.T) {
	differ := readDifferences(t)
	cases := shared.JSONLines[recordedCase](t, "payload_corpora", "line_protocol", "decode_cases.jsonl.gz")
	counts := map[int]int{}
	for _, c := range cases {
		said := saidAlone(t, c)
		if why := asRecorded(c, said, differ[c.Input.Key]); why != "" {
			t.Errorf("%s %q: %s\n%+v", c.Input.Key, c.Input.Text, why, said)
		}
		for _, v := range []variant{{}, {v2: true}, {whole: true}, {v2: true, whole: true}} {
			h, s := caseHandler(t, c)
			w := do(h, "POST", v.target(c), string(c.Input.Text))
			counts[w.Code]++
			if why := said.judge(v, w, s); why != "" {
				t.Errorf("%s %q %s: %s\n%d %s\nstored\n%s", c.Input.Key, c.Input.Text, v.target(c), why, w.Code, w.Body, s.text())
			}
		}
	}
	if len(cases) != 4363 {
		t.Errorf("%d cases, want 4363", len(cases))
	}
	t.Logf("%d cases, both versions, whole and in part; answers by status: %v", len(cases), counts)
}

// readDifferences returns what our decoder makes of the cases in which it
// differs from the recording; the decoder's own test holds the list to be exact.
func readDifferences(t *testing.T) map[string]string {
	raw, err := os.ReadFile("../decode/testdata/line_differences.json")
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]struct{ Got string }
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for k, d := range list {
		out[k] = d.Got
	}
	return out
}

// now is when a case is sent: when the recording stamps a line without a
// timestamp, or in 2026 where it stamps none. It knows no present, and much of
// what has a timestamp would lie far ahead of its stamps.
func (c recordedCase) now() quantrac.Millis {
	unit := map[string]int64{"1ns": 1, "1us": 1e3, "1ms": 1e6, "1s": 1e9}[c.Input.Precision]
	stamp := c.Input.DefaultTime / unit * unit
	for _, p := range c.Output.Result {
		if p.Time != stamp {
			return 1_793_500_000_000
		}
	}
	return quantrac.Millis(floorDiv(stamp, 1e6))
}

// noClock says why a row is refused for its time, "" where it is not.
func (c recordedCase) noClock(at quantrac.Millis) string {
	switch v := quantrac.CheckTime(at, c.now(), 0); v {
	case quantrac.TimeFarAhead, quantrac.TimeTooOld:
		return fmt.Sprintf("time: %s: %s", at, v)
	}
	return ""
}

func caseHandler(t *testing.T, c recordedCase) (*Handler, *store) {
	s := &store{}
	col := collector.New(s, nobody{}, nobody{}, quantrac.NewManualClock(c.now()), collector.Options{})
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
