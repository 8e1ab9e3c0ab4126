package accounts

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/jsonapi"
)

// CookieName is the name of the session's cookie.
const CookieName = "quantrac_session"

// GuardOptions say whom the guard lets in, and how.
type GuardOptions struct {
	// Local takes requests from this machine, addressed to it and forwarded
	// by nobody, for an administrator's: serve --dev.
	Local bool
	// Hosts are the names under which the service is reached, without port.
	// Address literals and localhost always pass: a page that rebinds its DNS
	// name to us cannot have those.
	Hosts []string
	// Proxies are the networks whose X-Forwarded-For and -Proto are believed.
	Proxies []netip.Prefix
	// Reads says which requests by POST only read (the PromQL endpoints):
	// they are lenient about where they come from, as Grafana forwards its
	// browser's Origin. Nil for none.
	Reads func(*http.Request) bool
	// Device checks a device's credentials, for readings that come in by
	// HTTP, and returns its station. Nil where devices do not.
	Device func(device, secret string) (station string, ok bool)
}

// guard is the middleware that Guard returns.
type guard struct {
	GuardOptions
	store *Store
	next  http.Handler
	cross *http.CrossOriginProtection
	// unnamed is told of once: a proxy that Proxies do not name.
	unnamed sync.Once
}

// Guard puts who asks into a request's context (quantrac.PrincipalFrom) and
// from where (audit.OriginFrom), and refuses what it must:
//
//   - Credentials in the Authorization header (Bearer and Token with an API
//     token; Basic, or Influx' u and p parameters, with an API token as the
//     password or a device's id and token) count alone; wrong ones are 401.
//     An empty token counts as none: Telegraf sends it so.
//   - Without them, the session's cookie, or Options.Local. A cookie that is
//     not good is nobody's.
//   - A mutation that does not carry credentials of its own must be addressed
//     to a known host and come from no other site's page; else 403.
func (s *Store) Guard(o GuardOptions, next http.Handler) http.Handler {
	return &guard{GuardOptions: o, store: s, next: next, cross: http.NewCrossOriginProtection()}
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := audit.WithOrigin(withSecured(r.Context(), g.secure(r)), g.clientAddr(r))
	p, given, ok := g.explicit(r)
	switch {
	case given && !ok:
		w.Header().Set("WWW-Authenticate", `Basic realm="quantrac", charset="UTF-8"`)
		jsonapi.Error(w, http.StatusUnauthorized, "unauthorized", "the credentials are wrong or have ended")
		return
	case !given:
		if why := g.foreign(r); why != "" {
			jsonapi.Error(w, http.StatusForbidden, quantrac.Denied.String(), why)
			return
		}
		p = g.ambient(r)
	}
	g.next.ServeHTTP(w, r.WithContext(quantrac.WithPrincipal(ctx, p)))
}

// explicit reads credentials that a page of another site cannot make a
// browser send.
func (g *guard) explicit(r *http.Request) (p quantrac.Principal, given, ok bool) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	user, secret := "", ""
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		secret = value
	case strings.EqualFold(scheme, "Token"):
		user, secret = cutUser(value)
	case strings.EqualFold(scheme, "Basic"):
		if raw, err := base64.StdEncoding.DecodeString(value); err == nil {
			user, secret, _ = strings.Cut(string(raw), ":")
		}
		if secret == "" {
			return p, true, false
		}
	case scheme != "":
		return p, true, false
	default:
		q := r.URL.Query()
		if user = q.Get("u"); user != "" { // a p alone may be anything
			secret = q.Get("p")
		}
	}
	if secret == "" {
		return p, false, false
	}
	if p, ok = g.store.Authenticate(secret); ok {
		return p, true, true
	}
	if g.Device != nil && user != "" {
		if station, ok := g.Device(user, secret); ok {
			return quantrac.Principal{Name: "device " + user, Role: quantrac.RoleDevice, Stations: []string{station}}, true, true
		}
	}
	return p, true, false
}

// cutUser splits Influx' "user:password"; a bare token has no user.
func cutUser(s string) (user, secret string) {
	if user, secret, ok := strings.Cut(s, ":"); ok {
		return user, secret
	}
	return "", s
}

// ambient finds who asks by what a browser sends unasked.
func (g *guard) ambient(r *http.Request) quantrac.Principal {
	if c, err := r.Cookie(CookieName); err == nil {
		if p, ok := g.store.Session(c.Value); ok {
			g.store.touch(r.Context(), c.Value)
			return p
		}
	}
	if g.Local && Local(r) {
		return quantrac.Principal{Name: "local", Role: quantrac.RoleAdmin}
	}
	return quantrac.Principal{Role: quantrac.RolePublic}
}

// foreign says why a mutation without credentials of its own is refused, ""
// where it is not.
func (g *guard) foreign(r *http.Request) string {
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodOptions:
		return ""
	case g.Reads != nil && g.Reads(r):
		return ""
	case !g.known(r.Host):
		return "host " + r.Host + " is not a name of this service; add it to the configured hosts"
	}
	if err := g.cross.Check(r); err != nil {
		return "the request comes from another site's page: " + err.Error()
	}
	return ""
}

func (g *guard) known(host string) bool {
	name := hostName(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return isLocalhost(name) || slices.ContainsFunc(g.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// hostName returns a Host header less its port and brackets.
func hostName(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
}

func isLocalhost(name string) bool {
	name = strings.ToLower(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// forwarding are the headers that a proxy adds; with one of them a request
// from this machine speaks for another.
var forwarding = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via", "True-Client-Ip", "Cf-Connecting-Ip",
}

// Local says whether a request comes from this machine and means it: it is
// addressed to it, and forwarded by nobody.
func Local(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, h := range forwarding {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	name := hostName(r.Host)
	to, err := netip.ParseAddr(name)
	return isLocalhost(name) || err == nil && to.Unmap().IsLoopback()
}
