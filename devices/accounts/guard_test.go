package accounts

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/shared"
)

// ask is a request to the guard, and what comes of it.
type ask struct {
	method, path string
	from         string // RemoteAddr
	host         string
	headers      []string // name, value pairs
	cookie       string

	status int
	name   string // of the principal that the handler sees
	role   quantrac.Role
}

func TestGuard(t *testing.T) {
	b := open(t)
	b.setUp()
	session := b.login("lan", good)
	token, _, err := b.store.NewToken(asAdmin(), Token{Name: "grafana", Role: quantrac.RoleViewer, Stations: []string{"a"}})
	b.must(err)
	basic := func(user, pass string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
	}

	options := GuardOptions{
		Hosts: []string{"quantrac.dongthap.gov.vn"},
		Reads: func(r *http.Request) bool { return r.URL.Path == "/api/v1/query" },
		Device: func(device, secret string) (string, bool) {
			return "tan_quoi", device == "tq-1" && secret == "DEVICESECRET"
		},
	}
	do := func(o GuardOptions, a ask) {
		t.Helper()
		var got quantrac.Principal
		h := b.store.Guard(o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = quantrac.PrincipalFrom(r.Context())
			w.WriteHeader(http.StatusOK)
		}))
		if a.method == "" {
			a.method = http.MethodGet
		}
		if a.path == "" {
			a.path = "/"
		}
		r := httptest.NewRequest(a.method, "http://placeholder"+a.path, nil)
		r.RemoteAddr, r.Host = a.from, a.host
		if r.RemoteAddr == "" {
			r.RemoteAddr = "[2001:db8::7]:5000"
		}
		if r.Host == "" {
			r.Host = "quantrac.dongthap.gov.vn"
		}
		for i := 0; i < len(a.headers); i += 2 {
			r.Header.Add(a.headers[i], a.headers[i+1])
		}
		if a.cookie != "" {
			r.AddCookie(&http.Cookie{Name: CookieName, Value: a.cookie})
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != a.status || a.status == 200 && (got.Name != a.name || got.Role != a.role) {
			t.Errorf("%s %s %v from %s to %s: %d, %q %s; want %d, %q %s", a.method, a.path, a.headers, r.RemoteAddr, r.Host, w.Code, got.Name, got.Role, a.status, a.name, a.role)
		}
		if w.Code >= 400 {
			var body map[string]string
			if json.Unmarshal(w.Body.Bytes(), &body) != nil || body["error"] == "" || body["message"] == "" || body["status"] != "error" {
				t.Errorf("body of an error: %s", w.Body)
			}
		}
		if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
	}
	f := func(a ask) { t.Helper(); do(options, a) }
	const viewer, admin, public, device = quantrac.RoleViewer, quantrac.RoleAdmin, quantrac.RolePublic, quantrac.RoleDevice
	auth := func(v string) []string { return []string{"Authorization", v} }

	// Credentials that are given.
	f(ask{status: 200, role: public})
	f(ask{headers: auth("Bearer " + token), status: 200, name: "token grafana", role: viewer})
	f(ask{headers: auth("bearer  " + token), status: 200, name: "token grafana", role: viewer})
	f(ask{headers: auth("Token " + token), status: 200, name: "token grafana", role: viewer})
	f(ask{headers: auth("Token any:" + token), status: 200, name: "token grafana", role: viewer})
	f(ask{headers: auth(basic("any", token)), status: 200, name: "token grafana", role: viewer})
	f(ask{path: "/write?u=any&p=" + token, status: 200, name: "token grafana", role: viewer})
	f(ask{headers: auth("Token "), status: 200, role: public}) // as Telegraf sends it
	f(ask{headers: auth("Token"), status: 200, role: public})
	f(ask{headers: auth("Bearer qt_WRONG"), status: 401})
	f(ask{headers: auth("Bearer " + session), status: 401}) // a session is no token
	f(ask{headers: auth(basic("lan", good)), status: 401})  // nor is a password
	f(ask{headers: auth(basic("lan", "")), status: 401})
	f(ask{headers: auth("Basic !!"), status: 401})
	f(ask{headers: auth("Digest x"), status: 401})
	f(ask{path: "/write?u=a&p=b", status: 401})
	f(ask{path: "/?p=2", status: 200, role: public})
	f(ask{path: "/write?u=a", status: 200, role: public})
	f(ask{headers: auth(basic("tq-1", "DEVICESECRET")), method: "POST", path: "/write", host: "10.0.0.1:8420", status: 200, name: "device tq-1", role: device})
	f(ask{headers: auth("Token tq-1:DEVICESECRET"), status: 200, name: "device tq-1", role: device})
	f(ask{headers: auth(basic("tq-2", "DEVICESECRET")), status: 401})
	do(GuardOptions{}, ask{headers: auth(basic("tq-1", "DEVICESECRET")), status: 401})

	// Sessions.
	f(ask{cookie: session, status: 200, name: "lan", role: admin})
	f(ask{cookie: "wrong", status: 200, role: public})
	f(ask{cookie: session, headers: auth("Bearer qt_WRONG"), status: 401})

	// Mutations.
	f(ask{method: "POST", cookie: session, status: 200, name: "lan", role: admin})
	f(ask{method: "PUT", cookie: session, headers: []string{"Sec-Fetch-Site", "same-origin"}, status: 200, name: "lan", role: admin})
	f(ask{method: "PUT", cookie: session, headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403})
	f(ask{method: "POST", cookie: session, headers: []string{"Sec-Fetch-Site", "same-site"}, status: 403})
	f(ask{method: "DELETE", cookie: session, headers: []string{"Origin", "https://evil.example"}, status: 403})
	f(ask{method: "POST", cookie: session, headers: []string{"Origin", "null"}, status: 403})
	f(ask{method: "POST", cookie: session, headers: []string{"Origin", "https://quantrac.dongthap.gov.vn"}, status: 200, name: "lan", role: admin})
	f(ask{method: "POST", cookie: session, host: "evil.example", status: 403})
	f(ask{method: "POST", cookie: session, host: "Quantrac.DongThap.gov.vn:443", status: 200, name: "lan", role: admin})
	f(ask{method: "POST", cookie: session, host: "[::1]:8420", status: 200, name: "lan", role: admin})
	f(ask{method: "POST", cookie: session, host: "[2001:db8::1]", status: 200, name: "lan", role: admin})
	f(ask{method: "POST", cookie: session, host: "192.0.2.1:8420", status: 200, name: "lan", role: admin})
	f(ask{method: "POST", cookie: session, host: "localhost:8420", status: 200, name: "lan", role: admin})
	f(ask{method: "GET", cookie: session, host: "evil.example", headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 200, name: "lan", role: admin})
	f(ask{method: "POST", path: "/api/v1/query", host: "evil.example", cookie: session, headers: []string{"Origin", "http://grafana.example"}, status: 200, name: "lan", role: admin})
	f(ask{method: "POST", host: "evil.example", headers: append(auth("Bearer "+token), "Origin", "http://grafana.example"), status: 200, name: "token grafana", role: viewer})

	// A service on a developer's machine.
	dev := options
	dev.Local = true
	g := func(a ask) { t.Helper(); do(dev, a) }
	for _, from := range []string{"127.0.0.1:999", "[::1]:999", "[::ffff:127.0.0.1]:999"} {
		for _, host := range []string{"localhost:8420", "127.0.0.1:8420", "[::1]:8420", "localhost", "quantrac.localhost:8420"} {
			g(ask{method: "POST", from: from, host: host, status: 200, name: "local", role: admin})
		}
	}
	local := ask{from: "[::1]:999", host: "localhost:8420", status: 200, role: public}
	for _, h := range forwarding {
		with := local
		with.headers = []string{h, "for=192.0.2.1"}
		g(with)
	}
	g(ask{from: "192.0.2.1:999", host: "localhost:8420", status: 200, role: public})
	g(ask{from: "[::1]:999", host: "evil.example:8420", status: 200, role: public}) // a rebound name
	g(ask{method: "POST", from: "[::1]:999", host: "evil.example:8420", status: 403})
	g(ask{method: "POST", from: "[::1]:999", host: "localhost:8420", headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403})
	g(ask{from: "[::1]:999", host: "localhost", headers: auth("Bearer qt_WRONG"), status: 401})
	g(ask{from: "[::1]:999", host: "localhost", cookie: session, status: 200, name: "lan", role: admin})
	f(ask{from: "[::1]:999", host: "localhost", status: 200, role: public}) // not without Local
}

func TestClientAddress(t *testing.T) {
	g := &guard{GuardOptions: GuardOptions{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	f := func(remote, want string, forwarded ...string) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		for _, v := range forwarded {
			r.Header.Add("X-Forwarded-For", v)
		}
		if got := g.clientAddr(r); got != want {
			t.Errorf("%s %v: %s, want %s", remote, forwarded, got, want)
		}
	}
	f("192.0.2.1:5", "192.0.2.1")
	f("[2001:db8::1]:5", "2001:db8::1")
	f("192.0.2.1:5", "192.0.2.1", "198.51.100.1") // not a proxy of ours
	f("10.0.0.1:5", "198.51.100.1", "198.51.100.1")
	f("10.0.0.1:5", "198.51.100.1", "6.6.6.6, 198.51.100.1")
	f("10.0.0.1:5", "198.51.100.1", "6.6.6.6", "198.51.100.1, 10.0.0.2")
	f("[fd00::1]:5", "2001:db8::9", "[2001:db8::9]")
	f("10.0.0.1:5", "198.51.100.1", "198.51.100.1:4711")
	f("[fd00::1]:5", "2001:db8::9", "6.6.6.6, [2001:db8::9]:4711")
	f("10.0.0.1:5", "10.0.0.1", "garbage")
	f("10.0.0.1:5", "10.0.0.1")
}

// The whole way of a browser, over IPv6: set up, sign in, manage, sign out.
func TestHandler(t *testing.T) {
	b := open(t)
	code, _ := b.store.SetupCode()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		shared.Missing(t, "no IPv6 here: %v", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/auth/", b.store.Handler(HandlerOptions{}))
	srv := &http.Server{Handler: b.store.Guard(GuardOptions{}, mux), ReadHeaderTimeout: time.Minute}
	go srv.Serve(l)
	defer srv.Close()
	jar, err := cookiejar.New(nil)
	b.must(err)
	client := &http.Client{Jar: jar}
	base := "http://" + l.Addr().String() + "/api/auth/"
	do := func(method, path, body string, want int) (text string) {
		t.Helper()
		r, err := http.NewRequest(method, base+path, strings.NewReader(body))
		b.must(err)
		r.Header.Set("Content-Type", "application/json")
		res, err := client.Do(r)
		b.must(err)
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		b.must(err)
		if res.StatusCode != want {
			t.Errorf("%s %s %s: %s %s, want %d", method, path, body, res.Status, data, want)
		}
		for _, c := range res.Cookies() {
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure {
				t.Errorf("cookie %+v", c)
			}
		}
		return string(data)
	}
	has := func(text, want string) {
		t.Helper()
		if !strings.Contains(text, want) {
			t.Errorf("%s: want %q in it", text, want)
		}
	}
	has(do("GET", "session", "", 200), `"setup_needed":true`)
	do("GET", "accounts", "", 403)
	do("POST", "setup", `{"code":"x","name":"lan","password":"ba con vịt xiêm"}`, 401)
	has(do("POST", "setup", `{"code":"`+code+`","name":"lan","password":"kém"}`, 400), "at least 12")
	has(do("POST", "setup", `{"code":"`+code+`","name":"lan","password":"ba con vịt xiêm"}`, 200), `"role":"admin"`)
	do("POST", "setup", `{"code":"`+code+`","name":"eve","password":"ba con vịt xiêm"}`, 409)
	has(do("GET", "session", "", 200), `"signed_in":true,"name":"lan"`)
	do("PUT", "accounts/hoa", `{"role":"approver","stations":null,"display":"Hoa"}`, 204)
	do("PUT", "accounts/hoa", `{"name":"eve","role":"approver"}`, 400)
	do("PUT", "accounts/hoa", `{"role":"approver","power":9}`, 400)
	do("PUT", "accounts/hoa", `{"role":"approver"} x`, 400)
	do("POST", "accounts/hoa/password", `{"password":"bốn con gà trống"}`, 204)
	do("POST", "accounts/ghost/password", `{"password":"bốn con gà trống"}`, 404)
	has(do("GET", "accounts", "", 200), `"display":"Hoa"`)
	made := do("POST", "tokens", `{"name":"grafana","role":"viewer"}`, 200)
	var tok struct{ ID, Secret string }
	b.must(json.Unmarshal([]byte(made), &tok))
	if _, ok := b.store.Authenticate(tok.Secret); !ok {
		t.Error("the token that was answered does not work")
	}
	if list := do("GET", "tokens", "", 200); strings.Contains(list, tok.Secret) || !strings.Contains(list, tok.ID) {
		t.Errorf("list of tokens: %s", list)
	}
	do("DELETE", "tokens/"+tok.ID, "", 204)
	do("DELETE", "tokens/"+tok.ID, "", 404)
	has(do("GET", "audit?action=apitoken.new", "", 200), `"object":"`+tok.ID)
	do("GET", "audit?limit=x", "", 400)
	has(do("GET", "audit/verify", "", 200), `"hash":"`)
	do("POST", "password", `{"old":"không phải nó","new":"năm con bò vàng"}`, 401)
	do("POST", "password", `{"old":"ba con vịt xiêm","new":"năm con bò vàng"}`, 200)
	has(do("GET", "session", "", 200), `"signed_in":true`) // a new session in the cookie
	do("POST", "logout", "", 200)
	has(do("GET", "session", "", 200), `"signed_in":false`)
	do("POST", "password", `{"old":"a","new":"b"}`, 403)
	do("POST", "login", `{"name":"lan","password":"ba con vịt xiêm"}`, 401)
	has(do("POST", "login", `{"name":"hoa","password":"bốn con gà trống"}`, 200), `"role":"approver"`)
	do("GET", "accounts", "", 403)
	do("POST", "login", `not json`, 400)
	do("POST", "login", strings.Repeat(" ", maxBody)+`{}`, 413)

	// A form of another site's page cannot sign anybody in.
	res, err := client.PostForm(base+"login", url.Values{"name": {"hoa"}})
	b.must(err)
	res.Body.Close()
	if res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %s", res.Status)
	}
	for range 6 {
		res, err = client.Post(base+"login", "application/json", strings.NewReader(`{"name":"minh","password":"x"}`))
		b.must(err)
		res.Body.Close()
	}
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "30" {
		t.Errorf("after six failures: %s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
	}
	if list, err := b.audit.List(asAdmin(), audit.Filter{Action: "login.failed"}); err != nil || len(list) == 0 || list[0].Origin != "::1" {
		t.Errorf("failed sign-ins: %+v, %v", list, err)
	}
}

func FuzzGuard(f *testing.F) {
	b := open(f)
	b.setUp()
	f.Add("Basic bGFuOg==", "[::1]:8420", "127.0.0.1:1", "1.2.3.4, [::1]", "u=a&p=b")
	f.Add("Token a:b", "localhost", "[fe80::1%eth0]:1", "", "")
	f.Add("Bearer qt_x", "[[::1", "", ",,,", "%zz")
	h := b.store.Guard(GuardOptions{Local: true, Proxies: []netip.Prefix{netip.MustParsePrefix("::/0"), netip.MustParsePrefix("0.0.0.0/0")}},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p := quantrac.PrincipalFrom(r.Context())
			if p.Name != "" && p.Name != "local" {
				f.Errorf("let in as %+v", p)
			}
			if p.Name == "local" && r.Header.Get("X-Forwarded-For") != "" {
				f.Error("a forwarded request is local")
			}
		}))
	f.Fuzz(func(t *testing.T, auth, host, remote, forwarded, query string) {
		r := httptest.NewRequest("POST", "http://x/", nil)
		r.Host, r.RemoteAddr, r.URL.RawQuery = host, remote, query
		r.Header.Set("Authorization", auth)
		r.Header.Set("X-Forwarded-For", forwarded)
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
}
