package jsonapi

import (
	"net/http"

	"quantrac"
)

// Routes serves a table of routes and answers in our form also what is not on
// it: 404, or 405 where the path is and the method is not.
func Routes(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern == "" {
			refusal := &refusal{header: http.Header{}}
			h.ServeHTTP(refusal, r)
			if refusal.status == http.StatusMethodNotAllowed {
				w.Header().Set("Allow", refusal.header.Get("Allow"))
				Error(w, refusal.status, quantrac.Invalid.String(), r.URL.Path+" takes "+refusal.header.Get("Allow")+" only")
				return
			}
			Error(w, http.StatusNotFound, quantrac.NotFound.String(), "nothing is at "+r.URL.Path)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// refusal takes down how a mux refuses a request, and not its plain text.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header { return r.header }

func (r *refusal) WriteHeader(status int) { r.status = status }

func (r *refusal) Write(b []byte) (int, error) { return len(b), nil }
