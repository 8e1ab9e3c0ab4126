package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"quantrac"
	"quantrac/internal/shared"
)

// corpusCase is one recorded case of the line protocol corpus.
type corpusCase struct {
	Input struct {
		Key         string
		Text        corpusText
		DefaultTime int64
		Precision   string
	}
	Output struct {
		Result []corpusPoint
		Error  string
	}
}

type corpusPoint struct {
	Time int64
	Name string
	Tags []struct{ Key, Value corpusText }
	// A field's value is an object of one member, named after its kind.
	Fields []struct {
		Key   corpusText
		Value map[string]json.RawMessage
	}
}

// corpusText is text, or an object {binary: base64} where it is not UTF-8.
type corpusText []byte

func (t *corpusText) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var o struct{ Binary []byte }
		err := json.Unmarshal(b, &o)
		*t = o.Binary
		return err
	}
	var s string
	err := json.Unmarshal(b, &s)
	*t = corpusText(s)
	return err
}

func readCorpus(tb testing.TB) []corpusCase {
	tb.Helper()
	return shared.JSONLines[corpusCase](tb, "payload_corpora", "line_protocol", "decode_cases.jsonl.gz")
}

var corpusPrecisions = map[string]Precision{"1ns": Nanoseconds, "1us": Microseconds, "1ms": Milliseconds, "1s": Seconds}

// where is what the recording says before the reason itself.
var where = regexp.MustCompile(`^cannot get metric (\d+): (cannot get (measurement|time|(tag|field) \d+): )?`)

// TestLinesCorpus decodes every recorded case. What differs from the recording
// must be listed, with a justification, in testdata/line_differences.json, and
// what is listed must differ.
func TestLinesCorpus(t *testing.T) {
	var known map[string]struct{ Got, Recorded, Why string }
	raw, err := os.ReadFile("testdata/line_differences.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		t.Fatal(err)
	}
	cases := readCorpus(t)
	if len(cases) != 4363 {
		t.Fatalf("read %d cases, want 4363", len(cases))
	}
	seen := 0
	for _, c := range cases {
		got, recorded := decodeCase(c)
		if got == recorded {
			if _, ok := known[c.Input.Key]; ok {
				t.Errorf("%s: listed as a difference, but decodes as recorded", c.Input.Key)
			}
			continue
		}
		k, ok := known[c.Input.Key]
		if !ok || k.Got != got || k.Recorded != recorded || k.Why == "" {
			t.Errorf("%s %q:\n     got %s\nrecorded %s", c.Input.Key, c.Input.Text, got, recorded)
			continue
		}
		seen++
	}
	if seen != len(known) {
		t.Errorf("%d differences seen, %d listed", seen, len(known))
	}
}

// decodeCase writes down what the decoder makes of a case, and what the
// recording says, in one form: the points, or the first error with the number
// of good points before it.
func decodeCase(c corpusCase) (got, recorded string) {
	p, ok := corpusPrecisions[c.Input.Precision]
	if !ok {
		return "", "precision " + c.Input.Precision
	}
	recorded = recordedText(c, p)
	d := newLineDecoder(&Result{}, c.Input.Text, p, 0, Limits{})
	var points []string
	for d.more() {
		p, err := d.entry()
		if err != nil {
			return fmt.Sprintf("error after %d points: %v", len(points), err), recorded
		}
		ms := p.time
		if !p.hasTime {
			// The recording cuts the default time to the precision.
			unit := nanos[corpusPrecisions[c.Input.Precision]]
			ns := c.Input.DefaultTime / unit * unit
			ms = quantrac.Millis(millisOf(ns))
		}
		text := fmt.Sprintf("%q", p.name)
		for _, t := range p.tags {
			text += fmt.Sprintf(" %q=%q", t.Name, t.Value)
		}
		text += " |"
		for _, f := range p.fields {
			text += fmt.Sprintf(" %q=%s", f.key, fieldText(f.value))
		}
		points = append(points, fmt.Sprintf("%s @%d", text, ms))
	}
	return fmt.Sprintf("%q", points), recorded
}

func fieldText(v lineprotocol.Value) string {
	switch v.Kind() {
	case lineprotocol.Float:
		return fmt.Sprintf("float:%v", v.FloatV())
	case lineprotocol.Int:
		return fmt.Sprintf("int:%d", v.IntV())
	case lineprotocol.Uint:
		return fmt.Sprintf("uint:%d", v.UintV())
	case lineprotocol.Bool:
		return fmt.Sprintf("bool:%v", v.BoolV())
	}
	return fmt.Sprintf("string:%q", v.StringV())
}

func recordedText(c corpusCase, p Precision) string {
	if c.Output.Error != "" {
		m := where.FindStringSubmatch(c.Output.Error)
		if m == nil {
			return "unreadable error " + c.Output.Error
		}
		return fmt.Sprintf("error after %s points: %s", m[1], c.Output.Error[len(m[0]):])
	}
	var points []string
	for _, r := range c.Output.Result {
		text := fmt.Sprintf("%q", r.Name)
		for _, t := range r.Tags {
			text += fmt.Sprintf(" %q=%q", t.Key, t.Value)
		}
		text += " |"
		for _, f := range r.Fields {
			text += fmt.Sprintf(" %q=%s", f.Key, recordedField(f.Value))
		}
		points = append(points, fmt.Sprintf("%s @%d", text, millisOf(r.Time)))
	}
	return fmt.Sprintf("%q", points)
}

func recordedField(v map[string]json.RawMessage) string {
	for kind, raw := range v {
		switch kind {
		case "string":
			var s corpusText
			if json.Unmarshal(raw, &s) != nil {
				return "unreadable"
			}
			return fmt.Sprintf("string:%q", s)
		case "float":
			var f float64
			if json.Unmarshal(raw, &f) != nil {
				return "unreadable float " + string(raw)
			}
			return fmt.Sprintf("float:%v", f)
		}
		return kind + ":" + string(raw)
	}
	return "no value"
}

func millisOf(ns int64) int64 { return floorDiv(ns, 1e6) }

// TestLinesNumbersCorpus decodes all recorded texts as one payload each way the
// lines can fall, so that line numbers and texts are checked on rough input.
func TestLinesNumbersCorpus(t *testing.T) {
	for _, c := range readCorpus(t) {
		out, err := Lines(c.Input.Text, Nanoseconds, 0, Limits{MaxFaults: 1 << 20})
		if err != nil {
			t.Fatalf("%s: %v", c.Input.Key, err)
		}
		lines := slices.Collect(splitLines(c.Input.Text))
		last := 0
		for _, f := range out.Faults {
			if f.Row <= last || f.Row > len(lines) {
				t.Fatalf("%s: fault at line %d after %d of %d", c.Input.Key, f.Row, last, len(lines))
			}
			last = f.Row
			if text := excerpt(bytes.TrimRight(lines[f.Row-1], "\r\n"), MaxFaultText); len(f.Text) < len(text) && len(text) <= MaxFaultText {
				t.Fatalf("%s: fault at line %d quotes %q, the line is %q", c.Input.Key, f.Row, f.Text, text)
			}
		}
	}
}

func splitLines(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := slices.Index(b, '\n') + 1
			if n == 0 {
				n = len(b)
			}
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}
