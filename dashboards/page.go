package dashboards

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quantrac"
	"quantrac/internal/jsonapi"
	"quantrac/internal/params"
)

// Page serves everything this package shows. Make it with New; it is an
// http.Handler at once, and follows changes while Run runs.
type Page struct {
	d        Deps
	o        Options
	mux      *http.ServeMux
	assets   *assets
	communes map[string]string // name by code of 2025
	instance string            // tells the sequence numbers of this process from those of another
	reads    chan struct{}     // one token a chart being read

	look    sync.Mutex  // held during a look at the stations, one at a time; taken before mu
	running atomic.Bool // Run follows the feed

	mu      sync.Mutex
	view    *view              // newest, nil before the first look
	looked  time.Time          // when, real time
	clients map[*client]bool   // live streams
	packed  map[string]*packed // encoded state by entity tag, for the newest view only
	closed  bool
	refused uint64 // live streams sent away since the start
	dropped uint64 // live streams let go for being slow

	done chan struct{} // closed by Close
}

// Stats are figures for /metrics.
type Stats struct {
	LiveClients int    // browsers that follow the live stream now
	LiveRefused uint64 // told to poll because too many followed
	LiveDropped uint64 // let go because they did not keep up
}

// New makes a page of its parts. It reads nothing yet.
func New(d Deps, o Options) (*Page, error) {
	if d.Registry == nil || d.Readings == nil {
		return nil, errors.New("dashboards: New wants a registry and readings")
	}
	o.fill()
	as, err := loadAssets()
	if err != nil {
		return nil, err
	}
	communes, err := communeNames()
	if err != nil {
		return nil, err
	}
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("dashboards: %w", err)
	}
	p := &Page{
		d: d, o: o, assets: as, communes: communes, instance: hex.EncodeToString(id[:]),
		reads: make(chan struct{}, o.MaxReads), clients: map[*client]bool{}, packed: map[string]*packed{},
		done: make(chan struct{}),
	}
	p.routes()
	return p, nil
}

func (p *Page) routes() {
	p.mux = http.NewServeMux()
	p.assets.routes(p.mux)
	now := func(pattern string, serve http.HandlerFunc) { p.mux.Handle(pattern, params.NowOnly(serve)) }
	now("GET /api/page/state", p.serveState)
	now("GET /api/page/live", p.serveLive)
	now("GET /api/page/station/{id}", p.serveStation)
	p.mux.HandleFunc("GET /api/page/station/{id}/series.csv", p.serveStationCSV)
	p.mux.HandleFunc("/api/page/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, quantrac.Invalid, "the page's data are read only")
			return
		}
		refuse(w, http.StatusNotFound, quantrac.NotFound, "no such resource: "+r.URL.Path)
	})
	if p.o.OpenData {
		now("GET /open/stations.geojson", p.serveGeoJSON)
		p.mux.HandleFunc("GET /open/series.csv", p.serveOpenCSV)
	}
	p.mux.HandleFunc("GET /grafana/"+dataSourceFile, p.serveDataSource)
	p.mux.Handle("GET /grafana/", http.StripPrefix("/grafana/", http.FileServerFS(Grafana())))
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if p.o.StaffOnly && strings.HasPrefix(r.URL.Path, "/api/page/") && !quantrac.PrincipalFrom(r.Context()).Staff() {
		refuse(w, http.StatusUnauthorized, quantrac.Denied, "the page is for signed-in staff only")
		return
	}
	p.mux.ServeHTTP(w, r)
}

// secure sets the headers every answer carries. The page runs its own code
// only: no inline script or style, nothing from elsewhere, not inside a frame.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
		"connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// Stats returns figures for /metrics.
func (p *Page) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{LiveClients: len(p.clients), LiveRefused: p.refused, LiveDropped: p.dropped}
}

// Run follows the feed until ctx ends or Close is called, which is no error;
// live streams are told what has changed. A feed that fails is logged and
// followed again.
func (p *Page) Run(outer context.Context) error {
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	changes := make(chan Change)
	var wg sync.WaitGroup
	if p.d.Feed != nil {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p.follow(ctx, changes)
		}()
	}
	p.running.Store(true)
	defer p.running.Store(false)
	p.gatherChanges(ctx, changes)
	wg.Wait()
	return context.Cause(outer)
}

// follow passes the feed on and takes it up again when it breaks.
func (p *Page) follow(ctx context.Context, out chan<- Change) {
	for ctx.Err() == nil {
		for c, err := range p.d.Feed.Changes(ctx) {
			if err != nil {
				if ctx.Err() == nil {
					p.o.Logger.Error("page: the feed of changes broke; following it again", "error", err)
				}
				break
			}
			select {
			case out <- c:
			case <-ctx.Done():
				return
			}
		}
		select { // whatever was missed meanwhile is found by looking at everything
		case <-time.After(p.o.Flush):
		case <-ctx.Done():
			return
		}
		select {
		case out <- Change{Registry: true}:
		case <-ctx.Done():
		}
	}
}

// gatherChanges collects changes for Flush, then looks at what they touched;
// now and then it looks at everything, since silence comes by time alone.
func (p *Page) gatherChanges(ctx context.Context, changes <-chan Change) {
	look := time.NewTicker(p.o.Look)
	defer look.Stop()
	flush := time.NewTimer(0) // the first look, at once
	defer flush.Stop()
	pending, all, warned := map[string]bool{}, true, true
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-changes:
			if len(pending) == 0 && !all {
				flush.Reset(p.o.Flush)
			}
			for _, s := range c.Stations {
				pending[s] = true
			}
			all, warned = all || c.Registry || c.Warnings, warned || c.Registry || c.Warnings
		case <-look.C:
			all, warned = true, true
			flush.Reset(0)
		case <-flush.C:
			only := sortedKeys(pending)
			if all {
				only = nil
			} else if len(only) == 0 {
				continue
			}
			p.lookAgain(ctx, only, warned)
			clear(pending)
			all, warned = false, false
		}
	}
}

// lookAgain refreshes the view; a store that does not answer in time counts
// as one that cannot be read.
func (p *Page) lookAgain(ctx context.Context, only []string, warned bool) {
	bounded, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	if _, err := p.refresh(bounded, only, warned); err != nil && ctx.Err() == nil {
		p.o.Logger.Error("page: cannot read the figures to show", "error", err)
	}
}

// Close ends all live streams and Run. It may be called more than once.
func (p *Page) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.done)
	}
	return nil
}

// refuse answers with an error that no cache may keep.
func refuse(w http.ResponseWriter, code int, kind quantrac.ErrorKind, text string) {
	w.Header().Set("Cache-Control", "no-store")
	jsonapi.Error(w, code, kind.String(), text)
}

// fail answers with an error of a room by its kind. What failed inside is
// logged; the reader gets the kind's words only.
func (p *Page) fail(w http.ResponseWriter, r *http.Request, err error) {
	kind := quantrac.KindOf(err)
	if r.Context().Err() != nil {
		return // the reader has gone
	}
	text := err.Error()
	switch kind {
	case quantrac.Busy, quantrac.Unavailable:
		w.Header().Set("Retry-After", "10")
	case quantrac.Invalid, quantrac.NotFound, quantrac.Denied, quantrac.Conflict:
	default:
		p.o.Logger.Error("page: request failed", "path", r.URL.Path, "error", err)
		text = "the centre could not read its data; the failure is in its log"
	}
	refuse(w, kind.HTTPStatus(), kind, text)
}
