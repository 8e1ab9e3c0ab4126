package influx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"quantrac"
	"quantrac/collector/decode"
)

// saying is what a body says, taken line by line.
type saying struct {
	lines   []lineSaid
	stored  string // as store.text
	bad     int
	good    int // lines that store something
	strings int
}

// lineSaid is an entry that is not blank.
type lineSaid struct {
	number int // of its first line, from 1
	text   string
	why    string // it is bad, "" where it is good
}

// saidAlone decodes the lines of a body one at a time. A line that is bad alone
// may be the beginning of one that goes on inside a text.
func saidAlone(t *testing.T, c recordedCase) (s saying) {
	t.Helper()
	lines := bytes.SplitAfter([]byte(c.Input.Text), []byte("\n"))
	var stored store
	for i, k := 0, 0; i < len(lines); i = k {
		k = i + 1
		out := decodeAlone(t, c, lines[i])
		for j := i + 2; out.Faulty > 0 && j <= len(lines); j++ {
			if longer := decodeAlone(t, c, bytes.Join(lines[i:j], nil)); longer.Faulty == 0 {
				out, k = longer, j
			}
		}
		if out.Faulty+len(out.Rows)+out.Strings == 0 {
			continue
		}
		l := lineSaid{number: i + 1, text: strings.TrimRight(string(bytes.Join(lines[i:k], nil)), "\r\n")}
		if out.Faulty > 0 {
			l.why = out.Faults[0].Reason
		} else if len(out.Rows) > 0 {
			l.why = c.noClock(out.Rows[0].Time)
		}
		if l.why != "" && out.Faulty == 0 { // taken apart, and refused for its time
			out.Rows, out.Faulty = nil, 1
		}
		s.lines = append(s.lines, l)
		s.bad, s.good, s.strings = s.bad+out.Faulty, s.good+len(out.Rows), s.strings+out.Strings
		for _, r := range out.Rows {
			stored.batches = append(stored.batches, quantrac.Batch{Rows: []quantrac.Row{{Group: r.Tags, Time: r.Time, Cells: r.Cells}}})
		}
	}
	s.stored = stored.text()
	return s
}

func decodeAlone(t *testing.T, c recordedCase, line []byte) decode.Result {
	p := precisionsV2[strings.TrimPrefix(c.Input.Precision, "1")]
	out, err := decode.Lines(line, p, c.now(), decode.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// An error says how many points came before it, and its reason: on the list of
// differences, and in the recording.
var (
	errorAfter    = regexp.MustCompile(`^error after (\d+) points: ()((?s:.*))`)
	recordedError = regexp.MustCompile(`^cannot get metric (\d+): (cannot get (?:measurement|time|(?:tag|field) \d+): )?((?s:.*))`)
)

// asRecorded says in what the lines differ from the recording, or, where we
// differ from it for a reason that is listed, from what is listed.
func asRecorded(c recordedCase, s saying, differs string) string {
	m := recordedError.FindStringSubmatch(c.Output.Error)
	if differs != "" {
		m = errorAfter.FindStringSubmatch(differs)
	}
	if m != nil {
		return s.errorAt(m[1], m[3])
	}
	if c.Output.Error != "" && differs == "" {
		return "unreadable error " + c.Output.Error
	}
	want, refused := wanted(c)
	if differs != "" { // of what we read otherwise, only the sign of zero is kept
		want = strings.ReplaceAll(want, " 0 @", " -0 @")
	}
	if s.stored != want {
		return "recorded\n" + want
	}
	if s.bad > 0 != refused {
		return fmt.Sprintf("recorded without an error; our own rules refuse a value: %v", refused)
	}
	return ""
}

// errorAt says what is wrong if the line after so many points is not bad for
// that reason. Our own rules may have refused points before it.
func (s saying) errorAt(points, reason string) string {
	n, err := strconv.Atoi(points)
	if err != nil || n >= len(s.lines) {
		return "recorded as an error after " + points + " points"
	}
	// Alone it is line 1; the recording counts from the beginning of the body.
	if why := atLine.ReplaceAllString(s.lines[n].why, ""); why != atLine.ReplaceAllString(reason, "") {
		return fmt.Sprintf("line %d is wrong for %q, recorded %q", s.lines[n].number, why, reason)
	}
	return ""
}

var atLine = regexp.MustCompile(`at line \d+:`)

// judge says what is wrong with an answer, "" if nothing.
func (s saying) judge(v variant, w *httptest.ResponseRecorder, st *store) string {
	status, code := s.status(v)
	stored := s.stored
	if v.whole && s.bad > 0 {
		stored = ""
	}
	switch {
	case w.Code != status:
		return fmt.Sprintf("status %d, want %d", w.Code, status)
	case st.text() != stored:
		return "want stored\n" + stored
	case s.bad == 0 && w.Body.Len() > 0:
		return "a body with nothing to say"
	case s.bad == 0:
		return ""
	case w.Header().Get("Content-Type") != "application/json" || w.Header().Get("X-InfluxDB-Error") == "":
		return fmt.Sprintf("headers of an error: %v", w.Header())
	case w.Header().Get("X-Platform-Error-Code") != code:
		return fmt.Sprintf("X-Platform-Error-Code %q, want %q", w.Header().Get("X-Platform-Error-Code"), code)
	}
	return s.judgeBody(v, w.Body.Bytes(), code)
}

// status returns the status that a body deserves, and the code of an error that
// InfluxDB 2 has beside it.
func (s saying) status(v variant) (status int, code string) {
	switch {
	case s.bad == 0 && s.good+s.strings == 0 && !v.v2:
		return http.StatusOK, ""
	case s.bad == 0:
		return http.StatusNoContent, ""
	case !v.v2:
		return http.StatusBadRequest, ""
	case v.whole || s.good == 0:
		return http.StatusBadRequest, "invalid"
	}
	return http.StatusUnprocessableEntity, "unprocessable entity"
}

// judgeBody checks the body of an error: its form, its words, and that it
// names each bad line.
func (s saying) judgeBody(v variant, body []byte, code string) string {
	var got struct {
		Error, Code, Message string
		Data                 []lineError
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		return "error body: " + err.Error()
	}
	message, other := got.Error, got.Message
	if v.v2 {
		message, other = other, message
	}
	first, last := s.words(v)
	if other != "" || got.Code != code || !strings.HasPrefix(message, first) || !strings.HasSuffix(message, last) {
		return fmt.Sprintf("want %s … %s in the form of the version", first, last)
	}
	return s.judgeLines(got.Data, message)
}

// words returns how the message of an error begins and ends. Clients look for
// "partial write" and "unable to parse".
func (s saying) words(v variant) (first, last string) {
	dropped := fmt.Sprintf(" dropped=%d", s.bad)
	switch {
	case v.whole:
		return "nothing was stored, as accept_partial=false asks: line ", ""
	case s.good == 0:
		return "unable to parse line ", ""
	case v.v2:
		return "failure writing points to database: partial write: line ", dropped
	}
	return "partial write: line ", dropped + " for database: d for retention policy: autogen"
}

// judgeLines wants each bad line with its text and why it is bad.
func (s saying) judgeLines(data []lineError, message string) string {
	n := 0
	for _, l := range s.lines {
		if l.why == "" {
			continue
		}
		if n == len(data) {
			return fmt.Sprintf("line %d is not among the bad ones", l.number)
		}
		got := data[n]
		n++
		why := atLine.ReplaceAllString(got.ErrorMessage, "")
		text, cut := strings.CutSuffix(got.OriginalLine, "…")
		valid := strings.ToValidUTF8(l.text, "\uFFFD")
		switch {
		case got.LineNumber != l.number || why != atLine.ReplaceAllString(l.why, ""):
			return fmt.Sprintf("bad line %+v, want %+v", got, l)
		case text != valid && !(cut && strings.HasPrefix(valid, text)):
			return fmt.Sprintf("bad line %d is quoted as %q, want %q", l.number, got.OriginalLine, valid)
		case n == 1 && !strings.Contains(message, fmt.Sprintf("line %d: %s", l.number, got.ErrorMessage)):
			return "the message does not name the first bad line and its fault"
		}
	}
	if n < len(data) {
		return fmt.Sprintf("a good line among the bad: %+v", data[n])
	}
	return ""
}
