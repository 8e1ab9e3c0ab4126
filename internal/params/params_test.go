package params

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"quantrac"
)

func TestTime(t *testing.T) {
	f := func(text string, want quantrac.Millis) {
		t.Helper()
		got, err := Time(url.Values{"from": {text}}, "from", 7)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, int64(got), err, int64(want))
		}
	}
	f("", 7)
	f("1700000000.123", 1_700_000_000_123)
	f("2026-07-01T07:00:00+07:00", 1_782_864_000_000)
	f("-292273086-05-16T16:47:06Z", quantrac.MinMillis)
	f("292277025-08-18T07:12:54.999999999Z", quantrac.MaxMillis)
	f("-1e300", quantrac.MinMillis)
	f("1e300", quantrac.MaxMillis)
	for _, bad := range []string{"tomorrow", "2026-07-01", "2026-07-01T07:00:00", "NaN", "+Inf"} {
		if _, err := Time(url.Values{"from": {bad}}, "from", 0); quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), `invalid parameter "from"`) {
			t.Errorf("%q: %v, want it refused by name", bad, err)
		}
	}
}

func TestAsOf(t *testing.T) {
	f := func(text string, want quantrac.Millis) {
		t.Helper()
		if got, err := AsOf(url.Values{"asof": {text}}); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, int64(got), err, int64(want))
		}
	}
	f("", 0)
	f("0", 1) // before everything, not now
	f("-5", 1)
	f("1700000000", 1_700_000_000_000)
	if _, err := AsOf(url.Values{"asof": {"yesterday"}}); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestNowOnly(t *testing.T) {
	h := NowOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	f := func(address string, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", address, w.Code, w.Body, want)
		}
	}
	f("/x", http.StatusNoContent)
	f("/x?asof=", http.StatusNoContent)
	f("/x?asof=1700000000", http.StatusBadRequest)
}
