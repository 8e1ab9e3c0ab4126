package dashboards

import (
	"context"
	"encoding/json"
	"flag"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
)

// demoAddr starts the made-up network for looking at:
//
//	go test ./dashboards -run TestDemo -demo 127.0.0.1:8420 -timeout 0
var demoAddr = flag.String("demo", "", "address on which TestDemo serves the page with a made-up network until interrupted")

func TestDemo(t *testing.T) {
	if *demoAddr == "" {
		t.Skip("serves the page to people when -demo HOST:PORT is given")
	}
	n := newNetwork()
	p, err := New(n.deps(), Options{Clock: n.clock, OpenData: true, SignIn: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() { _ = p.Run(ctx) }()
	go func() { // the water moves every ten seconds, a minute of its time
		for range time.Tick(10 * time.Second) {
			n.clock.Advance(time.Minute)
			for _, id := range []string{"tan-quoi", "tram-chim"} {
				last, _ := n.store.Latest(ctx, []*quantrac.Matcher{quantrac.Equals("station", id), quantrac.Equals("__name__", "water_level_meters")})
				n.store.put(last[0].Labels, n.clock.Now(), last[0].Value+0.01, quantrac.Good)
			}
			n.feed <- Change{Stations: []string{"tan-quoi", "tram-chim"}}
		}
	}()
	l, err := net.Listen("tcp", *demoAddr)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("http://%s/ (name can-bo, password mat-khau)", l.Addr())
	srv := &http.Server{Handler: signInFake(p, nil), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	_ = srv.Serve(l)
}

// signInFake mounts what cmd mounts: one account, one cookie. staff, where not
// nil, signs everybody in while it is true.
func signInFake(p http.Handler, staff *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/auth/login", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Name, Password string }
		if json.NewDecoder(r.Body).Decode(&in) != nil || in.Name != "can-bo" || in.Password != "mat-khau" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	})
	mux.HandleFunc("POST /api/auth/logout", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Path: "/", MaxAge: -1})
	})
	mux.HandleFunc("GET /api/auth/session", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"signed_in":false,"role":"public","stations":null}`))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("session"); err == nil && c.Value == "1" || staff != nil && staff.Load() {
			r = r.WithContext(quantrac.WithPrincipal(r.Context(), quantrac.Principal{Name: "can-bo", Role: quantrac.RoleHydrologist}))
		}
		p.ServeHTTP(w, r)
	})
	return mux
}
