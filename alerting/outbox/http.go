package outbox

import (
	"context"
	"net/http"
	"strings"
	"time"

	"quantrac"
	"quantrac/alerting"
	"quantrac/internal/jsonapi"
)

// Book is where subscriptions are changed: *alerting.Alerting.
type Book interface {
	Source
	Subscribe(ctx context.Context, s alerting.Subscription) (alerting.Subscription, error)
	Enable(ctx context.Context, id string) error
	Rotate(ctx context.Context, id string, overlap time.Duration) (string, error)
	Unsubscribe(ctx context.Context, id string) error
	Deliveries(ctx context.Context, id string, limit int) ([]alerting.Outcome, error)
}

// maxBody bounds a request of the staff's.
const maxBody = 64 << 10

type handler struct {
	book  Book
	b     *Outbox
	check func(url string) error
}

// Handler serves the subscriptions to staff as JSON, below prefix (such as
// /api/alerting/subscriptions). The principal is the one in the request's
// context: staff may read, approvers and administrators may change; whoever has
// stations of their own, only what carries warnings of those alone. Addresses
// are shown whole to those who may change them, as they may hold a secret. Who
// puts the principal there also guards against forged requests. check refuses
// addresses that the webhook channel may not reach.
//
//	GET    prefix                 {"subscriptions": […]}
//	POST   prefix                 {url, audience, stations, min_level, note} → 201 with the secret
//	GET    prefix/{id}            with its latest deliveries
//	DELETE prefix/{id}
//	POST   prefix/{id}/disable    {"reason": …}
//	POST   prefix/{id}/enable
//	POST   prefix/{id}/rotate     {"overlap_hours": 24} → the new secret
//	POST   prefix/{id}/test
//	POST   prefix/{id}/resend     {"episode": …, "revision": …}
//
// Errors have the form of internal/jsonapi.
func Handler(book Book, b *Outbox, prefix string, check func(url string) error) http.Handler {
	h := &handler{book, b, check}
	prefix = strings.TrimSuffix(prefix, "/")
	mux := http.NewServeMux()
	handle := func(method, path string, change bool, fn func(r *http.Request) (int, any, error)) {
		mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
			if err := h.allowed(r, change); err != nil {
				jsonapi.Fail(w, err)
				return
			}
			if r.ContentLength != 0 && !jsonapi.HasType(r, "application/json") {
				jsonapi.Error(w, http.StatusUnsupportedMediaType, quantrac.Invalid.String(), "want Content-Type: application/json")
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			status, v, err := fn(r)
			if err != nil || v == nil {
				jsonapi.Done(w, err)
				return
			}
			jsonapi.Write(w, status, v)
		})
	}
	handle("GET", "", false, h.list)
	handle("POST", "", true, h.add)
	handle("GET", "/{id}", false, h.show)
	handle("DELETE", "/{id}", true, h.remove)
	handle("POST", "/{id}/disable", true, h.disable)
	handle("POST", "/{id}/enable", true, h.enable)
	handle("POST", "/{id}/rotate", true, h.rotate)
	handle("POST", "/{id}/test", true, h.test)
	handle("POST", "/{id}/resend", true, h.resend)
	return jsonapi.Routes(mux)
}

// allowed says why the principal of a request may not make it.
func (h *handler) allowed(r *http.Request, change bool) error {
	p := quantrac.PrincipalFrom(r.Context())
	switch {
	case !p.Staff():
		return quantrac.Errorf(quantrac.Denied, "subscriptions are for signed-in staff")
	case change && !governs(p):
		return quantrac.Errorf(quantrac.Denied, "role %s may not change subscriptions; approvers and administrators may", p.Role)
	}
	id := r.PathValue("id")
	if id == "" {
		return nil
	}
	s, err := h.book.Subscription(id)
	if err == nil && !s.Within(p) {
		return quantrac.Errorf(quantrac.Denied, "subscription %s carries warnings of stations that are not yours", id)
	}
	return err
}

func governs(p quantrac.Principal) bool {
	return p.Role == quantrac.RoleApprover || p.Role == quantrac.RoleAdmin
}

func body(r *http.Request, v any) error {
	if err := jsonapi.Strict(r.Body, v); err != nil {
		return quantrac.Errorf(quantrac.Invalid, "request: %w", err)
	}
	return nil
}

// shown is a subscription as staff see it.
type shown struct {
	alerting.Subscription
	Status     Status             `json:"status"`
	Progress   alerting.Progress  `json:"progress"`
	Deliveries []alerting.Outcome `json:"deliveries,omitempty"`
	Secret     string             `json:"secret,omitempty"` // once
}

// view is what a principal sees of a subscription.
func (h *handler) view(r *http.Request, s alerting.Subscription) shown {
	v := shown{Subscription: s.Veiled(), Status: h.b.Status(s.ID), Progress: h.book.Progress(s.ID)}
	if governs(quantrac.PrincipalFrom(r.Context())) {
		v.Subscription = s.Public()
	}
	return v
}

func (h *handler) list(r *http.Request) (int, any, error) {
	all := []shown{}
	for _, s := range h.book.Subscriptions() {
		if s.Within(quantrac.PrincipalFrom(r.Context())) {
			all = append(all, h.view(r, s))
		}
	}
	return http.StatusOK, map[string]any{"subscriptions": all}, nil
}

func (h *handler) add(r *http.Request) (int, any, error) {
	var in struct {
		URL      string            `json:"url"`
		Note     string            `json:"note"`
		Audience quantrac.Audience `json:"audience"`
		Stations []string          `json:"stations"`
		MinLevel int               `json:"min_level"`
	}
	if err := body(r, &in); err != nil {
		return 0, nil, err
	}
	if err := h.check(in.URL); err != nil {
		return 0, nil, err
	}
	s, err := h.book.Subscribe(r.Context(), alerting.Subscription{
		Channel: "webhook", URL: in.URL, Note: in.Note, Audience: in.Audience, Stations: in.Stations, MinLevel: in.MinLevel,
	})
	if err != nil {
		return 0, nil, err
	}
	v := h.view(r, s)
	v.Secret = s.Secrets[0].Key
	return http.StatusCreated, v, nil
}

func (h *handler) show(r *http.Request) (int, any, error) {
	s, err := h.book.Subscription(r.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	v := h.view(r, s)
	v.Deliveries, err = h.book.Deliveries(r.Context(), s.ID, 50)
	return http.StatusOK, v, err
}

func (h *handler) remove(r *http.Request) (int, any, error) {
	return 0, nil, h.book.Unsubscribe(r.Context(), r.PathValue("id"))
}

func (h *handler) disable(r *http.Request) (int, any, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := body(r, &in); err != nil {
		return 0, nil, err
	}
	return 0, nil, h.book.Disable(r.Context(), r.PathValue("id"), in.Reason)
}

func (h *handler) enable(r *http.Request) (int, any, error) {
	return 0, nil, h.book.Enable(r.Context(), r.PathValue("id"))
}

func (h *handler) rotate(r *http.Request) (int, any, error) {
	in := struct {
		OverlapHours float64 `json:"overlap_hours"`
	}{24}
	if r.ContentLength != 0 {
		if err := body(r, &in); err != nil {
			return 0, nil, err
		}
	}
	if !(in.OverlapHours >= 0 && in.OverlapHours <= 24*30) {
		return 0, nil, quantrac.Errorf(quantrac.Invalid, "overlap_hours %g is not 0 to 720", in.OverlapHours)
	}
	key, err := h.book.Rotate(r.Context(), r.PathValue("id"), time.Duration(in.OverlapHours*float64(time.Hour)))
	return http.StatusOK, map[string]string{"secret": key}, err
}

func (h *handler) test(r *http.Request) (int, any, error) {
	return outcome(h.b.Test(r.Context(), r.PathValue("id")))
}

func (h *handler) resend(r *http.Request) (int, any, error) {
	var in struct {
		Episode  string `json:"episode"`
		Revision int    `json:"revision"`
	}
	if err := body(r, &in); err != nil {
		return 0, nil, err
	}
	return outcome(h.b.Resend(r.Context(), r.PathValue("id"), in.Episode, in.Revision))
}

// outcome tells a failed delivery apart from a request that was wrong: the
// former is an answer, not an error.
func outcome(err error) (int, any, error) {
	switch {
	case err == nil:
		return http.StatusOK, map[string]any{"delivered": true}, nil
	case quantrac.KindOf(err) != quantrac.KindNone:
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"delivered": false, "error": err.Error()}, nil
}
