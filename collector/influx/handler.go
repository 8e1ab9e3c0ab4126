package influx

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"quantrac"
	"quantrac/collector"
	"quantrac/collector/decode"
	"quantrac/internal/seldom"
)

// Writer makes line protocol durable: *collector.Collector.
type Writer interface {
	Write(ctx context.Context, w collector.Writing) (collector.Written, error)
}

// Options of a handler. The zero value works.
type Options struct {
	// Authorize says who writes: the id of a device, or "" for a client that
	// writes series as they come. Errors: Denied for somebody who may not
	// (403), Invalid for nobody (401). Nil lets everybody write.
	Authorize func(r *http.Request) (device string, err error)

	MaxBody    int64         // bytes of a request, as sent and unpacked; 32 MiB
	MaxLines   int           // lines of a request; 10,000
	Concurrent int           // requests at once; further ones wait; 32
	Wait       time.Duration // for a turn, before 503; 5 s
	Patience   time.Duration // for a body to begin and whenever it comes at less than 1 KiB/s, before 503; 30 s
	Logger     *slog.Logger  // of failures that are ours; none
}

func (o *Options) fill() {
	if o.MaxBody <= 0 {
		o.MaxBody = 32 << 20
	}
	if o.MaxLines <= 0 {
		o.MaxLines = 10_000
	}
	if o.Concurrent <= 0 {
		o.Concurrent = 32
	}
	if o.Wait <= 0 {
		o.Wait = 5 * time.Second
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Handler serves the paths named in the package comment. It is an
// http.Handler, safe for concurrent use.
type Handler struct {
	w       Writer
	o       Options
	turns   chan struct{} // one element a request under way
	buffers buffers
	mux     *http.ServeMux

	failures seldom.Limit // of what the log says while the store takes nothing
}

// failuresAMinute is how many of them the log has one by one.
const failuresAMinute = 10

// New makes a handler that writes through w.
func New(w Writer, o Options) *Handler {
	o.fill()
	h := &Handler{w: w, o: o, turns: make(chan struct{}, o.Concurrent), buffers: newBuffers(), mux: http.NewServeMux(),
		failures: seldom.Limit{Lines: failuresAMinute}}
	h.mux.HandleFunc("POST /write", h.writeV1)
	h.mux.HandleFunc("POST /api/v2/write", h.writeV2)
	h.mux.HandleFunc("GET /ping", ping) // HEAD too
	h.mux.HandleFunc("GET /health", health)
	h.mux.HandleFunc("GET /query", query)
	h.mux.HandleFunc("POST /query", query)
	h.mux.HandleFunc("OPTIONS /", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return h
}

// Paths are what Handler answers, for whoever mounts it.
func Paths() []string {
	return []string{"/write", "/api/v2/write", "/ping", "/health", "/query"}
}

// influxVersion is the version of InfluxDB whose behaviour clients may expect:
// the last of the line that speaks version 1 and the version 2 write.
const influxVersion = "1.8.10"

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Influxdb-Version", influxVersion) // clients read it from every answer
	w.Header().Set("X-Influxdb-Build", "quantrac")
	h.mux.ServeHTTP(w, r)
}

func ping(w http.ResponseWriter, r *http.Request) {
	if v := r.URL.Query().Get("verbose"); v != "" && v != "0" && v != "false" {
		writeJSON(w, http.StatusOK, map[string]string{"version": influxVersion})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"name": "influxdb", "message": "ready for queries and writes", "status": "pass", "checks": []any{}, "version": influxVersion,
	})
}

func (h *Handler) writeV1(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a := answer{w: w, database: q.Get("db"), policy: q.Get("rp")}
	if a.database == "" {
		a.fail(http.StatusBadRequest, "database is required: add db=NAME; the name itself means nothing here", nil)
		return
	}
	switch c := q.Get("consistency"); c {
	case "", "any", "one", "quorum", "all":
	default:
		a.fail(http.StatusBadRequest, fmt.Sprintf("invalid consistency level %q: want any, one, quorum or all", c), nil)
		return
	}
	p, ok := precisionsV1[q.Get("precision")]
	if !ok {
		a.fail(http.StatusBadRequest, fmt.Sprintf("invalid precision %q: want n, u, ms, s, m or h", q.Get("precision")), nil)
		return
	}
	h.write(a, r, p)
}

func (h *Handler) writeV2(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a := answer{w: w, v2: true, database: q.Get("bucket")}
	if a.database == "" {
		a.fail(http.StatusBadRequest, "bucket is required: add bucket=NAME; the name itself means nothing here", nil)
		return
	}
	p, ok := precisionsV2[q.Get("precision")]
	if !ok {
		a.fail(http.StatusBadRequest, fmt.Sprintf("invalid precision %q: want ns, us, ms or s", q.Get("precision")), nil)
		return
	}
	h.write(a, r, p)
}

var precisionsV1 = map[string]decode.Precision{
	"": decode.Nanoseconds, "n": decode.Nanoseconds, "ns": decode.Nanoseconds,
	"u": decode.Microseconds, "us": decode.Microseconds, "µ": decode.Microseconds,
	"ms": decode.Milliseconds, "s": decode.Seconds, "m": decode.Minutes, "h": decode.Hours,
}

var precisionsV2 = map[string]decode.Precision{
	"": decode.Nanoseconds, "ns": decode.Nanoseconds, "us": decode.Microseconds, "ms": decode.Milliseconds, "s": decode.Seconds,
}

// write takes a request whose parameters are good.
func (h *Handler) write(a answer, r *http.Request, p decode.Precision) {
	device := ""
	if h.o.Authorize != nil {
		var err error
		if device, err = h.o.Authorize(r); err != nil {
			a.refuse(err)
			return
		}
	}
	if r.ContentLength > h.o.MaxBody { // known before any of it is there
		a.fail(http.StatusRequestEntityTooLarge, h.tooLarge().Error(), nil)
		return
	}
	in := h.arrive(a.w, r)
	defer in.done()
	// A short body is awaited before a turn is taken: loggers whose modem stalls
	// half-way must not keep the others out.
	early, done := h.buffers.forEarly(r.ContentLength)
	defer done()
	in.await(early)
	if err := h.turn(r.Context()); err != nil {
		a.refuse(err)
		return
	}
	defer func() { <-h.turns }()
	r.Body = in
	body := h.buffers.whole.Get().(*bytes.Buffer)
	defer h.buffers.keep(body)
	if status, err := h.body(body, r); in.lost != nil {
		a.refuse(in.lost) // a slow link's fault, whatever there is of the body
		return
	} else if err != nil {
		a.fail(status, err.Error(), nil)
		return
	}
	whole := false
	if v := r.URL.Query().Get("accept_partial"); v == "false" || v == "0" {
		whole = true
	}
	written, err := h.w.Write(r.Context(), collector.Writing{Device: device, Lines: body.Bytes(), Precision: p, Whole: whole})
	if err != nil {
		if quantrac.KindOf(err) != quantrac.Invalid {
			h.failed(device, err)
		}
		a.refuse(err)
		return
	}
	a.written(written)
}

// failed logs a write that the store did not take, unless the minute has had enough
// of them: on a full disk every client tries again every few seconds.
func (h *Handler) failed(device string, err error) {
	say, left := h.failures.Next(time.Now())
	if !say {
		return
	}
	args := []any{"device", device, "err", err}
	if left > 0 {
		args = append(args, "not_logged_before", left)
	}
	h.o.Logger.Error("influx write", args...)
}

// turn waits until the request may be worked on.
func (h *Handler) turn(ctx context.Context) error {
	select {
	case h.turns <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(h.o.Wait)
	defer timer.Stop()
	select {
	case h.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return quantrac.WithKind(quantrac.Unavailable, ctx.Err())
	case <-timer.C:
		return quantrac.Errorf(quantrac.Busy, "%d writes are under way; send this one again later", cap(h.turns))
	}
}
