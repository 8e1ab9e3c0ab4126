package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"quantrac"
)

// Clock and snapshots are of the whole network: an administrator of some stations
// has no say in them.
func TestAdminOnly(t *testing.T) {
	h := adminOnly(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	f := func(p quantrac.Principal, want int) {
		t.Helper()
		r := httptest.NewRequest("POST", "/api/admin/snapshots", nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r.WithContext(quantrac.WithPrincipal(r.Context(), p)))
		if w.Code != want {
			t.Errorf("%+v: %d, want %d", p, w.Code, want)
		}
	}
	f(quantrac.Principal{Role: quantrac.RoleAdmin}, http.StatusNoContent)
	f(quantrac.Principal{Role: quantrac.RoleAdmin, Stations: []string{"a"}}, http.StatusForbidden)
	f(quantrac.Principal{Role: quantrac.RoleAdmin, Stations: []string{}}, http.StatusForbidden)
	f(quantrac.Principal{Role: quantrac.RoleApprover}, http.StatusForbidden)
	f(quantrac.Principal{}, http.StatusForbidden)
}
