package jsonapi

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"quantrac"
)

func TestRead(t *testing.T) {
	f := func(kind, body string, status int) {
		t.Helper()
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		var v struct{ A int }
		if ok := Read(w, r, 20, &v); ok != (status == 0) || !ok && w.Code != status {
			t.Errorf("%s %q: %v, %d %s, want %d", kind, body, ok, w.Code, w.Body, status)
		}
		var e map[string]string
		if status != 0 && (json.Unmarshal(w.Body.Bytes(), &e) != nil || e["error"] == "" || e["error"] != e["message"] || e["code"] == "") {
			t.Errorf("body %s", w.Body)
		}
	}
	f("application/json", `{"a":1}`, 0)
	f("application/json; charset=utf-8", `{"a":1}`, 0)
	f("text/plain", `{"a":1}`, 415)
	f("", `{"a":1}`, 415)
	f("application/json", `{"b":1}`, 400)
	f("application/json", `{"a":1}{}`, 400)
	f("application/json", ``, 400)
	f("application/json", `{"a":1`+strings.Repeat(" ", 30)+`}`, 413)
}

func TestAnswers(t *testing.T) {
	w := httptest.NewRecorder()
	Fail(w, quantrac.Errorf(quantrac.Conflict, "x"))
	if w.Code != 409 || !strings.Contains(w.Body.String(), `"code":"aborted"`) || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	Answer(w, math.NaN())
	if w.Code != 500 || !json.Valid(w.Body.Bytes()) {
		t.Errorf("what JSON cannot say: %d %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	Done(w, nil)
	if w.Code != 204 {
		t.Errorf("%d", w.Code)
	}
}

func TestRoutes(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /a/{id}", func(w http.ResponseWriter, r *http.Request) { Answer(w, r.PathValue("id")) })
	f := func(method, path string, status int, want, allow string) {
		t.Helper()
		w := httptest.NewRecorder()
		Routes(mux).ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != status || !strings.Contains(w.Body.String(), want) || w.Header().Get("Allow") != allow || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %d %s, Allow %q; want %d …%s…", method, path, w.Code, w.Body, w.Header().Get("Allow"), status, want)
		}
	}
	f("GET", "/a/7", 200, `"7"`, "")
	f("POST", "/a/7", 405, `"message":"/a/7 takes GET, HEAD only"`, "GET, HEAD")
	f("GET", "/b", 404, `"errorType":"not_found"`, "")
}
