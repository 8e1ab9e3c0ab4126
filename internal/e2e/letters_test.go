package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"quantrac/internal/shared"
	"slices"
	"strings"
	"testing"
	"time"
)

// deadLetter is what staff see of a message that could not be taken in.
type deadLetter struct {
	ID       uint64
	Kind     string
	Device   string
	Source   string
	Reason   string
	Problems []string
	Payload  string
	Base64   string `json:"payload_base64"`
	Rows     []struct {
		Time    int64 `json:"time_ms"`
		Offered int64 `json:"offered_ms"`
	}
}

func deadLetters(s *service, device string) []deadLetter {
	s.t.Helper()
	var got struct{ Letters []deadLetter }
	s.nobody().want(http.StatusOK, "GET", "/api/dead-letters?limit=1000&"+url.Values{"device": {device}}.Encode(), "").json(s.t, &got)
	return got.Letters
}

// TestDeadLetters sends what devices should not send, by a real client: each
// message is acknowledged, so that it does not come for ever, and kept with the
// reason; what is good in it is stored.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	shared.Tool(t, "mosquitto_pub")
	s := start(t, t.TempDir(), "--dev")
	importStations(s, gaugeHeader+gaugeRow("gauge", [3]float64{17, 18, 19}, 0, 0, time.Minute))
	now := time.Now().Truncate(time.Second)
	n := 0
	good := map[int64]float64{} // what must be stored, by time
	letters := 0
	// fresh returns a time of its own for a reading, and one that must be there.
	fresh := func(v float64) int64 {
		n++
		at := now.Add(-time.Duration(n) * time.Minute).UnixMilli()
		if v != 0 {
			good[at] = v
		}
		return at
	}
	f := func(name, topic string, payload []byte, kind, reason string) {
		t.Helper()
		if _, err := s.mosquittoPub("gauge", topic, payload); err != nil {
			t.Errorf("%s: not acknowledged: %v", name, err)
			return
		}
		letters++
		var after []deadLetter
		eventually(t, name, func() error { // the list follows the journal
			if after = deadLetters(s, "gauge"); len(after) != letters {
				return fmt.Errorf("%d dead letters, want %d", len(after), letters)
			}
			return nil
		})
		l := after[0] // newest first
		if l.Kind != kind || l.Device != "gauge" || l.Source != topic || !strings.Contains(l.Reason, reason) {
			t.Errorf("%s: letter %+v; want %s from %s because of %q", name, l, kind, topic, reason)
		}
		if kind == "partial" && (len(l.Problems) == 0 || !slices.ContainsFunc(l.Problems, func(p string) bool { return strings.Contains(p, reason) })) {
			t.Errorf("%s: problems %q, want %q among them", name, l.Problems, reason)
		}
		if kind == "quarantine" {
			return
		}
		kept := []byte(l.Payload)
		if l.Base64 != "" {
			var err error
			if kept, err = base64.StdEncoding.DecodeString(l.Base64); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		cut := slices.ContainsFunc(l.Problems, func(p string) bool { return strings.Contains(p, "cut") })
		if !bytes.HasPrefix(payload, kept) || cut != (len(kept) < len(payload)) || cut && len(kept) < 4096 {
			t.Errorf("%s: of %d bytes %d are kept, %.80q, problems %q", name, len(payload), len(kept), kept, l.Problems)
		}
	}
	const obs = "v1/gauge/obs"
	row := func(value string) []byte {
		return fmt.Appendf(nil, `{"time": %d, "values": {"water_level_meters": %s}}`, fresh(0), value)
	}
	f("no JSON", obs, []byte("level 2.31 m"), "refused", "JSON")
	f("cut off", obs, []byte(`{"time": "2026-07-01T07:00:00+07:00", "values": {"water_lev`), "refused", "JSON")
	f("nothing", obs, nil, "refused", "JSON")
	f("a bare number", obs, []byte("2.31"), "refused", "row")
	f("text as a value", obs, row(`"high"`), "refused", "water_level_meters")
	f("an object as a value", obs, row(`{"v": 1}`), "refused", "water_level_meters")
	f("NaN", obs, row("NaN"), "refused", "JSON")
	f("a number beyond float64", obs, row("1e999"), "refused", "water_level_meters")
	f("an integer that float64 cannot hold", obs, row("9007199254740993"), "refused", "water_level_meters")
	f("a time of another form", obs, []byte(`{"time": "yesterday", "values": {"water_level_meters": 1}}`), "refused", "time")
	f("no UTF-8", obs, []byte("{\"values\": {\"\xff\xfe\": 1}}"), "refused", "UTF-8")
	f("zero bytes", obs, make([]byte, 200), "refused", "JSON")
	f("a topic that nobody reads", "v1/gauge/photo", []byte("x"), "refused", "v1/gauge/photo")
	f("another device's topic", "v1/other/obs", row("1"), "refused", "v1/other/obs")
	f("warnings", "v1/warnings/all", []byte("x"), "refused", "v1/warnings/all")
	f("an unregistered property", obs, fmt.Appendf(nil, `{"time": %d, "values": {"air_temperature_celsius": 31.5}}`, fresh(0)), "refused", "air_temperature_celsius")
	var rows []string
	for range 10_001 {
		rows = append(rows, `{"values":{"water_level_meters":1}}`)
	}
	f("huge", obs, []byte("["+strings.Join(rows, ",")+"]"), "refused", "more than 10000 rows")
	f("larger than is taken", obs, make([]byte, 2<<20), "refused", "a payload of 2097152 bytes; at most 1048576 are taken")
	f("a line that is none", "v1/gauge/line", []byte("water level_meters"), "refused", "row 1")
	f("a clock that says anything", obs, []byte(`{"time": 1000000000000000, "values": {"water_level_meters": 1}}`), "quarantine", "more than a year ahead")
	f("the clock of an unset logger", obs, []byte(`{"time": "2000-01-01T00:00:05Z", "values": {"water_level_meters": 1}}`), "quarantine", "clock")

	// What is good in a message is stored.
	f("one property of two", obs, fmt.Appendf(nil, `{"time": %d, "values": {"water_level_meters": 1.25, "wind": 3}}`, fresh(1.25)), "partial", "wind")
	f("one row of three", obs, fmt.Appendf(nil, `[{"time": %d, "values": {"water_level_meters": "?"}}, {"time": %d, "values": {"water_level_meters": 1.5}}, 7]`,
		fresh(0), fresh(1.5)), "partial", "water_level_meters")
	f("one line of two", "v1/gauge/line", fmt.Appendf(nil, "water level_meters=1.75 %d000000\nwater level_meters=high %d000000", fresh(1.75), fresh(0)), "partial", "row 2")

	// And a message that is good leaves none.
	if _, err := s.mosquittoPub("gauge", obs, fmt.Appendf(nil, `{"time": %d, "values": {"water_level_meters": 2.5}}`, fresh(2.5))); err != nil {
		t.Error(err)
	}
	got, err := s.values(`water_level_meters{station="gauge"}`, 24*time.Hour, now.Add(time.Minute))
	if err != nil || len(got) != len(good) {
		t.Errorf("stored %v, want %v: %v", got, good, err)
	}
	for at, v := range good {
		if got[at] != v {
			t.Errorf("at %d stored %v, want %v", at, got[at], v)
		}
	}
	f("one more", obs, []byte("x"), "refused", "JSON") // and none has come between
	if others := deadLetters(s, "other"); len(others) != 0 {
		t.Errorf("letters of a device that sent none: %+v", others)
	}
}

// TestDeadLettersOnMQTT5: a client of MQTT 5 is told the reason.
func TestDeadLettersOnMQTT5(t *testing.T) {
	t.Parallel()
	shared.Tool(t, "mosquitto_pub")
	s := start(t, t.TempDir(), "--dev")
	for payload, code := range map[string]string{
		"level 2.31 m": "RC:153", // payload format invalid
		`{"values": {"water_level_meters": 2.31}}`: "RC:0",
	} {
		out, err := s.mosquittoPub("gauge", "v1/gauge/obs", []byte(payload), "-V", "5", "-d")
		if err != nil || !strings.Contains(out, "PUBACK") || !strings.Contains(out, code) {
			t.Errorf("%s: the client says %q, %v; want %s", payload, out, err, code)
		}
	}
	out, err := s.mosquittoPub("gauge", "v1/other/obs", []byte(`{"values": {"water_level_meters": 2.31}}`), "-V", "5", "-d")
	if err != nil || !strings.Contains(out, "RC:135") { // not authorized
		t.Errorf("another device's topic: the client says %q, %v", out, err)
	}
}
