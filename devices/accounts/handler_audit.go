package accounts

import (
	"net/http"
	"strconv"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/jsonapi"
)

// auditEntry is an entry with what the chain adds to it.
type auditEntry struct {
	audit.Entry
	Commit uint64 `json:"commit"`
	Hash   string `json:"hash"`
}

func (h *handler) audit(w http.ResponseWriter, r *http.Request) {
	if h.Store.o.Audit == nil {
		fail(w, quantrac.Errorf(quantrac.NotFound, "no audit log is kept"))
		return
	}
	q := r.URL.Query()
	f := audit.Filter{Actor: q.Get("actor"), Action: q.Get("action"), Object: q.Get("object")}
	var err error
	if v := q.Get("before"); v != "" {
		f.Before, err = strconv.ParseUint(v, 10, 63)
	}
	if v := q.Get("limit"); v != "" && err == nil {
		f.Limit, err = strconv.Atoi(v)
	}
	if err != nil {
		fail(w, quantrac.Errorf(quantrac.Invalid, "before and limit want numbers: %w", err))
		return
	}
	list, err := h.Store.o.Audit.List(r.Context(), f)
	if err != nil {
		fail(w, err)
		return
	}
	out := make([]auditEntry, len(list))
	for i, e := range list {
		out[i] = auditEntry{e, e.Commit, e.Hash}
	}
	jsonapi.Answer(w, out)
}

func (h *handler) verify(w http.ResponseWriter, r *http.Request) {
	if h.Store.o.Audit == nil {
		fail(w, quantrac.Errorf(quantrac.NotFound, "no audit log is kept"))
		return
	}
	head, err := h.Store.o.Audit.Verify(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	jsonapi.Answer(w, head)
}
