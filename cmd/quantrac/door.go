package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"quantrac"
	"quantrac/collector/influx"
	"quantrac/devices/accounts"
	"quantrac/devices/httpapi"
	"quantrac/internal/jsonapi"
	"quantrac/internal/params"
	"quantrac/internal/turnstile"
)

// door is where the service is reached: the HTTP server and the broker.
type door struct {
	server *http.Server
	http   []net.Listener
	mqtt   []net.Listener
}

// openDoor listens and serves in the group. Everything behind it is open.
func (s *system) openDoor(ctx context.Context, g *errgroup.Group, gctx context.Context) (_ *door, err error) {
	d := &door{}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(d.http), closeAll(d.mqtt))
		}
	}()
	if d.http, err = listen(ctx, s.c.HTTP); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	if s.c.MQTT != "off" {
		if d.mqtt, err = listen(ctx, s.c.MQTT); err != nil {
			return nil, fmt.Errorf("mqtt: %w", err)
		}
		g.Go(func() error {
			defer s.parts.begin("mqtt")()
			return named("mqtt", s.broker.Run(gctx, through(s.gates.mqtt, d.mqtt)...))
		})
	}
	guarded, err := s.guard(s.routes())
	if err != nil {
		return nil, err
	}
	d.server = &http.Server{
		Handler:           s.gates.http.Bodies(s.requests.requests(readRest(guarded))),
		ConnContext:       s.gates.http.ConnContext,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return gctx },
		Protocols:         new(http.Protocols),
	}
	d.server.Protocols.SetHTTP1(true)
	d.server.Protocols.SetUnencryptedHTTP2(true) // gRPC clients of the warning stream
	for _, l := range through(s.gates.http, d.http) {
		g.Go(func() error {
			if err := d.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("http: %w", err)
			}
			return nil
		})
	}
	return d, nil
}

// through puts listeners behind a turnstile.
func through(t *turnstile.Turnstile, ls []net.Listener) []net.Listener {
	out := make([]net.Listener, len(ls))
	for i, l := range ls {
		out[i] = t.Listener(l)
	}
	return out
}

// named says of what an error is, unless it does so itself.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	if rest, own := strings.CutPrefix(err.Error(), name); own && (strings.HasPrefix(rest, ": ") || strings.HasPrefix(rest, " ")) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

func closeAll(ls []net.Listener) error {
	var errs []error
	for _, l := range ls {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// close takes no more requests and waits for those under way. What has not
// ended after the patience is cut, and named.
func (d *door) close(patience time.Duration, under *underway) (cut string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = d.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return under.String(), d.server.Close()
	}
	return "", err
}

// routes is the one table of what answers where.
func (s *system) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.page)
	mux.Handle("GET /api/page/live", s.gates.lasting(s.page))
	mux.Handle("/api/page/", s.page)
	mux.Handle("/api/", jsonapi.Routes(http.NewServeMux())) // what no room knows
	mux.Handle("/api/v1/", staffOnly(s.promql.Handler()))
	in := influx.New(s.collector, influx.Options{Authorize: whoWrites, Logger: s.log})
	for _, p := range influx.Paths() {
		mux.Handle(p, in)
	}
	mux.Handle("/api/auth/", params.NowOnly(s.accounts.Handler(accounts.HandlerOptions{Secure: strings.HasPrefix(s.c.BaseURL, "https://")})))
	mux.Handle("/api/registry/", params.NowOnly(httpapi.New(s.registry, s.clock)))
	letters := params.NowOnly(s.letters.Handler(s.devicesAt))
	mux.Handle("/api/dead-letters", letters)
	mux.Handle("/api/dead-letters/", letters)
	mux.Handle("/api/data/", newExchanges(s).handler())
	mux.Handle("/api/admin/", params.NowOnly(s.snapshots.handler()))
	s.alertingRoutes(mux)
	s.forecastRoutes(mux)
	if s.steady != nil {
		mux.Handle("POST /api/clock/accept", adminOnly(http.HandlerFunc(s.acceptClock)))
	}
	if s.driven != nil {
		mux.Handle("PUT /api/clock", adminOnly(clockHandler(s.driven, s.settled)))
	}
	mux.Handle("GET /metrics", localOrStaff(promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{})))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") })
	mux.HandleFunc("GET /-/ready", s.ready)
	return mux
}

// guard finds out who asks, and keeps out what other sites' pages could do.
func (s *system) guard(next http.Handler) (http.Handler, error) {
	proxies, err := accounts.ParseProxies(s.c.TrustedProxies)
	if err != nil {
		return nil, named("trusted-proxies", err)
	}
	return s.accounts.Guard(accounts.GuardOptions{
		Local:   s.c.Dev,
		Hosts:   s.hosts(),
		Proxies: proxies,
		Reads:   reads,
		Device:  s.registry.AuthenticateStation,
	}, next), nil
}

// hosts are the names under which people reach the service.
func (s *system) hosts() []string {
	var out []string
	if host, _, err := net.SplitHostPort(s.c.HTTP); err == nil && host != "" {
		out = append(out, host)
	}
	if u, err := url.Parse(s.c.baseURL()); err == nil {
		out = append(out, u.Hostname())
	}
	return out
}

// reads says which requests by POST only read.
func reads(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/v1/")
}

// staffOnly lets signed-in people and their programs through.
func staffOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !quantrac.PrincipalFrom(r.Context()).Staff() {
			signIn(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// signIn answers who has not said who they are.
func signIn(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="Quantrac"`)
	jsonapi.Error(w, http.StatusUnauthorized, "unauthorized", "sign in, or send an API token as Authorization: Bearer")
}

// localOrStaff lets programs on this machine through too, as a Prometheus beside
// the service.
func localOrStaff(next http.Handler) http.Handler {
	staff := staffOnly(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if accounts.Local(r) {
			next.ServeHTTP(w, r)
			return
		}
		staff.ServeHTTP(w, r)
	})
}

// adminOnly lets administrators of the whole network through.
func adminOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := quantrac.PrincipalFrom(r.Context()); p.Role != quantrac.RoleAdmin || p.Stations != nil {
			jsonapi.Fail(w, quantrac.Errorf(quantrac.Denied, "administrators only"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mayWrite are the roles that may send readings over HTTP.
var mayWrite = []quantrac.Role{quantrac.RoleDevice, quantrac.RoleTechnician, quantrac.RoleAdmin}

// whoWrites says for whom a write is: a device that has shown its token, or ""
// for a program that writes series as they come.
func whoWrites(r *http.Request) (string, error) {
	p := quantrac.PrincipalFrom(r.Context())
	if device, ok := strings.CutPrefix(p.Name, "device "); ok && p.Role == quantrac.RoleDevice {
		return device, nil
	}
	switch {
	case p.Role == quantrac.RolePublic || p.Role == "":
		return "", influx.ErrUnauthorized
	case !slices.Contains(mayWrite, p.Role):
		return "", quantrac.Errorf(quantrac.Denied, "%s has the role %s, which may not write readings", p.Name, p.Role)
	}
	return "", nil
}
