package deadletter

import (
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"quantrac"
	"quantrac/collector"
	"quantrac/internal/jsonapi"
)

// shown is a letter as the API shows it: its payload as text where it is UTF-8.
type shown struct {
	collector.DeadLetter
	Payload    []byte `json:"payload_base64,omitempty"`
	PayloadStr string `json:"payload,omitempty"`
}

func show(l collector.DeadLetter) shown {
	s := shown{DeadLetter: l}
	if utf8.Valid(l.Payload) {
		s.PayloadStr = string(l.Payload)
	} else {
		s.Payload = l.Payload
	}
	return s
}

// handler shows the letters of a store.
type handler struct {
	*Store
	devices func(station string) []string
}

// Handler serves GET /api/dead-letters (device, kind, before and limit narrow
// it) and /api/dead-letters/{id} to signed-in staff. Whoever has stations of
// their own sees letters of the devices there, which devices names; letters of
// devices that nobody has registered are for those who see the whole network.
// Errors have the form of internal/jsonapi.
func (s *Store) Handler(devices func(station string) []string) http.Handler {
	h := &handler{s, devices}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/dead-letters", h.list)
	mux.HandleFunc("GET /api/dead-letters/{id}", h.one)
	routes := jsonapi.Routes(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !quantrac.PrincipalFrom(r.Context()).Staff() {
			jsonapi.Fail(w, quantrac.Errorf(quantrac.Denied, "dead letters are for signed-in staff"))
			return
		}
		routes.ServeHTTP(w, r)
	})
}

// own are the devices whose letters who asks may see, nil for all.
func (h *handler) own(r *http.Request) []string {
	p := quantrac.PrincipalFrom(r.Context())
	if p.Stations == nil {
		return nil
	}
	own := []string{}
	for _, station := range p.Stations {
		own = append(own, h.devices(station)...)
	}
	return own
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := Filter{Device: q.Get("device"), Own: h.own(r), Kind: collector.LetterKind(q.Get("kind"))}
	var err error
	if v := q.Get("before"); v != "" {
		if f.Before, err = strconv.ParseUint(v, 10, 63); err != nil {
			jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "before=%q: want the id of a letter", v))
			return
		}
	}
	if v := q.Get("limit"); v != "" {
		if f.Limit, err = strconv.Atoi(v); err != nil || f.Limit < 1 || f.Limit > 1000 {
			jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "limit=%q: want 1 to 1000", v))
			return
		}
	}
	letters, err := h.List(r.Context(), f)
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	stats, err := h.Stats(r.Context())
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	out := struct {
		Letters []shown `json:"letters"`
		Stats   Stats   `json:"stats"`
	}{[]shown{}, stats}
	for _, l := range letters {
		out.Letters = append(out.Letters, show(l))
	}
	jsonapi.Answer(w, out)
}

func (h *handler) one(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 63)
	if err != nil {
		jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "%q is no id of a letter", r.PathValue("id")))
		return
	}
	l, err := h.Get(r.Context(), id)
	if own := h.own(r); err == nil && own != nil && !slices.Contains(own, l.Device) {
		err = noLetter(id)
	}
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	jsonapi.Answer(w, show(l))
}
