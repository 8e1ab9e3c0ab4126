package accounts

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"quantrac"
	"quantrac/internal/jsonapi"
)

// maxBody bounds a request's JSON, in bytes.
const maxBody = 64 << 10

// HandlerOptions say how the cookie is set.
type HandlerOptions struct {
	// Secure lets cookies go back over TLS alone, whatever a request has come
	// by: for a service whose people reach it by https. Otherwise those of
	// requests that have come over TLS, as the guard sees it.
	Secure bool
}

// Handler serves JSON under /api/auth/, inside Guard:
//
//	GET    session               who is signed in, and whether setup is needed
//	POST   setup                 {code, name, password}
//	POST   login                 {name, password}
//	POST   logout
//	POST   password              {old, new}: one's own
//	GET    accounts              administrators only, as all that follow
//	PUT    accounts/{name}       an Account
//	POST   accounts/{name}/password  {password}
//	GET    tokens
//	POST   tokens                a Token: name, role, stations, expires_ms; answers with the secret
//	DELETE tokens/{id}
//	GET    audit                 ?before= &actor= &action= &object= &limit=
//	GET    audit/verify          walks the chain
//
// Errors are in the form of internal/jsonapi.
func (s *Store) Handler(o HandlerOptions) http.Handler {
	h := &handler{s, o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/auth/session", h.session)
	mux.HandleFunc("POST /api/auth/setup", h.setup)
	mux.HandleFunc("POST /api/auth/login", h.login)
	mux.HandleFunc("POST /api/auth/logout", h.logout)
	mux.HandleFunc("POST /api/auth/password", h.password)
	mux.HandleFunc("GET /api/auth/accounts", admin(h.accounts))
	mux.HandleFunc("PUT /api/auth/accounts/{name}", admin(h.putAccount))
	mux.HandleFunc("POST /api/auth/accounts/{name}/password", admin(h.setPassword))
	mux.HandleFunc("GET /api/auth/tokens", admin(h.tokens))
	mux.HandleFunc("POST /api/auth/tokens", admin(h.newToken))
	mux.HandleFunc("DELETE /api/auth/tokens/{id}", admin(h.revokeToken))
	mux.HandleFunc("GET /api/auth/audit", admin(h.audit))
	mux.HandleFunc("GET /api/auth/audit/verify", admin(h.verify))
	return jsonapi.Routes(mux)
}

type handler struct {
	*Store
	o HandlerOptions
}

// admin lets administrators of the whole network through.
func admin(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := quantrac.PrincipalFrom(r.Context())
		if p.Role != quantrac.RoleAdmin || p.Stations != nil {
			fail(w, quantrac.Errorf(quantrac.Denied, "this is for administrators"))
			return
		}
		next(w, r)
	}
}

// who is the answer about a session.
type who struct {
	SignedIn    bool          `json:"signed_in"`
	Name        string        `json:"name,omitempty"`
	Role        quantrac.Role `json:"role"`
	Stations    []string      `json:"stations"`
	SetupNeeded bool          `json:"setup_needed,omitempty"`
}

func (h *handler) session(w http.ResponseWriter, r *http.Request) {
	p := quantrac.PrincipalFrom(r.Context())
	jsonapi.Answer(w, who{p.Staff(), p.Name, p.Role, p.Stations, h.NeedsSetup()})
}

func (h *handler) setup(w http.ResponseWriter, r *http.Request) {
	var in struct{ Code, Name, Password string }
	if !jsonapi.Read(w, r, maxBody, &in) {
		return
	}
	secret, a, err := h.Setup(r.Context(), in.Code, in.Name, in.Password)
	h.signIn(w, r, secret, a, err)
}

func (h *handler) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name, Password string }
	if !jsonapi.Read(w, r, maxBody, &in) {
		return
	}
	secret, a, err := h.Login(r.Context(), in.Name, in.Password, markOf(r))
	h.signIn(w, r, secret, a, err)
}

// signIn answers a sign-in: the cookie, or why not.
func (h *handler) signIn(w http.ResponseWriter, r *http.Request, secret string, a Account, err error) {
	if quantrac.KindOf(err) == quantrac.Denied {
		jsonapi.Error(w, http.StatusUnauthorized, "unauthenticated", err.Error())
		return
	}
	if err != nil {
		fail(w, err)
		return
	}
	h.setCookie(w, r, CookieName, secret, h.Store.o.SessionMax)
	h.setCookie(w, r, MarkName, h.Mark(a.Name, markOf(r)), markDays*24*time.Hour)
	jsonapi.Answer(w, who{SignedIn: true, Name: a.Name, Role: a.Role, Stations: a.Stations})
}

func markOf(r *http.Request) string {
	if c, err := r.Cookie(MarkName); err == nil {
		return c.Value
	}
	return ""
}

func (h *handler) setCookie(w http.ResponseWriter, r *http.Request, name, value string, lasts time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(lasts.Seconds()),
		HttpOnly: true, Secure: h.o.Secure || secured(r.Context()), SameSite: http.SameSiteLaxMode,
	})
}

func (h *handler) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(CookieName); err == nil {
		if err := h.Logout(r.Context(), c.Value); err != nil {
			fail(w, err)
			return
		}
	}
	h.setCookie(w, r, CookieName, "", -time.Second)
	jsonapi.Answer(w, who{Role: quantrac.RolePublic})
}

func (h *handler) password(w http.ResponseWriter, r *http.Request) {
	var in struct{ Old, New string }
	if !jsonapi.Read(w, r, maxBody, &in) {
		return
	}
	c, err := r.Cookie(CookieName)
	if err != nil {
		fail(w, quantrac.Errorf(quantrac.Denied, "sign in first"))
		return
	}
	_, a, ok := h.Store.session(c.Value)
	if !ok {
		fail(w, quantrac.Errorf(quantrac.Denied, "sign in first"))
		return
	}
	secret, err := h.ChangePassword(r.Context(), a.Name, in.Old, in.New)
	h.signIn(w, r, secret, a.Account, err)
}

func (h *handler) accounts(w http.ResponseWriter, r *http.Request) { jsonapi.Answer(w, h.Accounts()) }

func (h *handler) putAccount(w http.ResponseWriter, r *http.Request) {
	var a Account
	if !jsonapi.Read(w, r, maxBody, &a) {
		return
	}
	if a.Name != "" && normalName(a.Name) != normalName(r.PathValue("name")) {
		fail(w, quantrac.Errorf(quantrac.Invalid, "name %q is not that of the address", a.Name))
		return
	}
	a.Name = r.PathValue("name")
	jsonapi.Done(w, h.PutAccount(r.Context(), a))
}

func (h *handler) setPassword(w http.ResponseWriter, r *http.Request) {
	var in struct{ Password string }
	if jsonapi.Read(w, r, maxBody, &in) {
		jsonapi.Done(w, h.SetPassword(r.Context(), r.PathValue("name"), in.Password))
	}
}

func (h *handler) tokens(w http.ResponseWriter, r *http.Request) { jsonapi.Answer(w, h.Tokens()) }

func (h *handler) newToken(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name     string          `json:"name"`
		Role     quantrac.Role   `json:"role"`
		Stations []string        `json:"stations"`
		Expires  quantrac.Millis `json:"expires_ms"`
	}
	if !jsonapi.Read(w, r, maxBody, &in) {
		return
	}
	secret, t, err := h.NewToken(r.Context(), Token{Name: in.Name, Role: in.Role, Stations: in.Stations, Expires: in.Expires})
	if err != nil {
		fail(w, err)
		return
	}
	jsonapi.Answer(w, struct {
		Token
		Secret string `json:"secret"`
	}{t, secret})
}

func (h *handler) revokeToken(w http.ResponseWriter, r *http.Request) {
	jsonapi.Done(w, h.RevokeToken(r.Context(), r.PathValue("id")))
}

func fail(w http.ResponseWriter, err error) {
	var wait *WaitError
	if errors.As(err, &wait) {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.After.Seconds()))))
		jsonapi.Error(w, http.StatusTooManyRequests, quantrac.Busy.String(), err.Error())
		return
	}
	jsonapi.Fail(w, err)
}
