package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestExchangeOfNobody: who has not said who they are is told to, on the way in as
// on the way out.
func TestExchangeOfNobody(t *testing.T) {
	h := newExchanges(nil).handler()
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/api/data/export?format=jsonl", nil),
		httptest.NewRequest("POST", "/api/data/import?format=jsonl", strings.NewReader("{}")),
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" || !strings.Contains(w.Body.String(), "sign in") {
			t.Errorf("%s %s: %d %s", r.Method, r.URL, w.Code, w.Body)
		}
	}
}
