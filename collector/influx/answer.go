package influx

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"quantrac"
	"quantrac/collector"
	"quantrac/collector/decode"
)

// answer writes the outcome of a write in the form of its version.
type answer struct {
	w                http.ResponseWriter
	v2               bool
	database, policy string
}

// lineError is a bad line, as InfluxDB 3 lists them: the one of the three that
// programs can read. Older clients ignore it.
type lineError struct {
	OriginalLine string `json:"original_line"`
	LineNumber   int    `json:"line_number"`
	ErrorMessage string `json:"error_message"`
}

// written answers a write that the collector has dealt with.
func (a answer) written(done collector.Written) {
	switch {
	case done.Bad == 0 && done.Good == 0 && done.Strings == 0 && !a.v2:
		a.w.WriteHeader(http.StatusOK) // nothing but comments: as InfluxDB 1 says it
	case done.Bad == 0:
		a.w.WriteHeader(http.StatusNoContent)
	case done.Rejected:
		a.fail(http.StatusBadRequest, fmt.Sprintf("nothing was stored, as accept_partial=false asks: %s", reasons(done)), lineErrors(done.Faults))
	case done.Good == 0:
		a.fail(http.StatusBadRequest, "unable to parse "+reasons(done), lineErrors(done.Faults))
	case a.v2:
		a.fail(http.StatusUnprocessableEntity, fmt.Sprintf("failure writing points to database: partial write: %s dropped=%d", reasons(done), done.Bad), lineErrors(done.Faults))
	default:
		policy := a.policy
		if policy == "" {
			policy = "autogen"
		}
		a.fail(http.StatusBadRequest, fmt.Sprintf("partial write: %s dropped=%d for database: %s for retention policy: %s", reasons(done), done.Bad, a.database, policy), lineErrors(done.Faults))
	}
}

// reasons says the first faults in words; all that are known stand in data.
func reasons(done collector.Written) string {
	const most = 5
	var parts []string
	for _, f := range done.Faults {
		if len(parts) == most {
			parts = append(parts, fmt.Sprintf("and more, %d lines in all", done.Bad))
			break
		}
		text := fmt.Sprintf("line %d: ", f.Row)
		if f.Field != "" {
			text += f.Field + ": "
		}
		parts = append(parts, text+f.Reason)
	}
	return strings.Join(parts, "; ")
}

func lineErrors(faults []decode.Fault) []lineError {
	out := make([]lineError, len(faults))
	for i, f := range faults {
		out[i] = lineError{f.Text, f.Row, f.Reason}
		if f.Field != "" {
			out[i].ErrorMessage = f.Field + ": " + f.Reason
		}
	}
	return out
}

// Seconds after which a client may come again.
const (
	retryBusy        = 2
	retryUnavailable = 10 // disk full, closing: somebody has to act
)

// refuse answers an error of the collector, the store or the authorizer.
func (a answer) refuse(err error) {
	status := quantrac.KindOf(err).HTTPStatus()
	switch quantrac.KindOf(err) {
	case quantrac.Busy:
		a.w.Header().Set("Retry-After", strconv.Itoa(retryBusy))
	case quantrac.Unavailable:
		a.w.Header().Set("Retry-After", strconv.Itoa(retryUnavailable))
	case quantrac.Denied:
		if unauthorized(err) {
			status = http.StatusUnauthorized
			a.w.Header().Set("WWW-Authenticate", `Basic realm="Quantrac"`)
		}
	}
	a.fail(status, err.Error(), nil)
}

// codesV2 are InfluxDB 2's words for a status.
var codesV2 = map[int]string{
	http.StatusBadRequest:            "invalid",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusRequestEntityTooLarge: "request too large",
	http.StatusUnsupportedMediaType:  "invalid",
	http.StatusUnprocessableEntity:   "unprocessable entity",
	http.StatusServiceUnavailable:    "unavailable",
}

// fail answers with an error.
func (a answer) fail(status int, message string, data []lineError) {
	a.w.Header().Set("X-InfluxDB-Error", headerText(message))
	body := map[string]any{}
	if a.v2 {
		code := codesV2[status]
		if code == "" {
			code = "internal error"
		}
		a.w.Header().Set("X-Platform-Error-Code", code)
		body["code"], body["message"] = code, message
	} else {
		body["error"] = message
	}
	if len(data) > 0 {
		body["data"] = data
	}
	writeJSON(a.w, status, body)
}

// headerText makes a message fit for a header: one line of ASCII, at most
// 1,024 bytes.
func headerText(s string) string {
	b := []byte(s)
	b = b[:min(len(b), 1024)]
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // strings, numbers and slices of them always marshal
		b, status = []byte(`{"error":"answer could not be written"}`), http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client may have gone; there is nobody to tell
}
