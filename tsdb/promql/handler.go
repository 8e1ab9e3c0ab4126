package promql

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
)

// answer is the body of a good answer.
type answer struct {
	data     func(*writer)
	warnings []string
	infos    []string
	done     func() // called when the answer has been written, may be nil

	body []byte       // all of it, where it is kept
	keep func([]byte) // takes a copy of the body, if that is not too long; may be nil
}

// endpoint answers one request whose form has been read.
type endpoint func(*http.Request) (answer, *apiError)

// Handler serves everything under /api/v1/ that belongs to reading: query,
// query_range, query_exemplars, series, labels, label/…/values, metadata,
// rules, alerts, format_query, status/buildinfo, status/runtimeinfo. Queries
// are taken by GET and by POST, which reads parameters of URL and body. What it
// does not know is a 404 in the form of the API.
//
// What is shorter than 128 KiB, or was kept, goes out as a whole and says how long it is,
// compressed or not; what is longer is sent as it is made.
//
// Who asks is found in the request's context (quantrac.PrincipalFrom). Nothing
// is changed by any request, so that Origin and Referer are not looked at;
// Grafana passes on those of the browser.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	z := newGzip()
	handle := func(path string, f endpoint, methods ...string) {
		mux.Handle("/api/v1/"+path, z.wrap(a.serve(f, methods)))
	}
	both := []string{http.MethodGet, http.MethodPost}
	handle("query", a.query, both...)
	handle("query_range", a.queryRange, both...)
	handle("query_exemplars", a.exemplars, both...)
	handle("series", a.series, both...)
	handle("labels", a.labelNames, both...)
	handle("label/{name}/values", a.labelValues, both...)
	handle("format_query", a.formatQuery, both...)
	handle("metadata", a.metadata, http.MethodGet)
	handle("rules", a.rules, http.MethodGet)
	handle("alerts", a.alerts, http.MethodGet)
	handle("status/buildinfo", a.buildInfo, http.MethodGet)
	handle("status/runtimeinfo", a.runtimeInfo, http.MethodGet)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, &apiError{notFound, fmt.Errorf("no endpoint %s in this API", r.URL.Path)})
	})
	return mux
}

// serve reads the form, answers, and writes.
func (a *API) serve(f endpoint, methods []string) http.Handler {
	allow := strings.Join(append(methods, http.MethodHead, http.MethodOptions), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		if method == http.MethodOptions {
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if method != methods[0] && method != methods[len(methods)-1] {
			w.Header().Set("Allow", allow)
			a.fail(w, &apiError{notAllowed, fmt.Errorf("method %s is not allowed here; use %s", r.Method, strings.Join(methods, " or "))})
			return
		}
		if err := form(w, r); err != nil {
			a.fail(w, err)
			return
		}
		ans, err := f(r)
		if err != nil {
			a.fail(w, err)
			return
		}
		if ans.done != nil {
			defer ans.done()
		}
		a.write(r.Context(), w, ans)
	})
}

// write sends a good answer.
func (a *API) write(ctx context.Context, w http.ResponseWriter, ans answer) {
	w.Header().Set("Content-Type", "application/json")
	if ans.body != nil {
		a.counts.kept.Add(1)
		setLength(w, len(ans.body))
		if _, err := w.Write(ans.body); err != nil {
			a.o.Logger.Debug("answer not taken", "error", err)
		}
		return
	}
	out := newWriter(ctx, w, &a.buffers)
	out.head = func(bytes int) { setLength(w, bytes) }
	out.keeps = ans.keep != nil
	out.raw(`{"status":"success","data":`)
	ans.data(out)
	if len(ans.warnings) > 0 {
		out.raw(`,"warnings":`)
		out.strs(ans.warnings)
	}
	if len(ans.infos) > 0 {
		out.raw(`,"infos":`)
		out.strs(ans.infos)
	}
	out.raw("}")
	out.close()
	if out.err != nil {
		a.o.Logger.Debug("answer not taken", "error", out.err)
	} else if out.keeps {
		ans.keep(out.kept)
	}
}

// setLength says how long an answer is, if that is known.
func setLength(w http.ResponseWriter, bytes int) {
	if bytes >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(bytes))
	}
}

// fail sends an error.
func (a *API) fail(w http.ResponseWriter, e *apiError) {
	w.Header().Set("Content-Type", "application/json")
	c := classes[e.class]
	if c.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	out := newWriter(context.Background(), w, &a.buffers)
	out.head = func(bytes int) {
		setLength(w, bytes)
		w.WriteHeader(c.status)
	}
	out.raw(`{"status":"error","errorType":`)
	out.str(c.name)
	out.raw(`,"error":`)
	out.str(e.Error())
	out.raw("}")
	out.close()
	if out.err != nil {
		a.o.Logger.Debug("answer not taken", "error", out.err)
	}
}

func (a *API) query(r *http.Request) (answer, *apiError) {
	q, limit, err := queryParams(r)
	if err != nil {
		return answer{}, err
	}
	if q.start, err = timeParam(r, "time", a.o.Clock.Now()); err != nil {
		return answer{}, err
	}
	q.end = q.start
	return a.evaluate(r, q, limit)
}

func (a *API) queryRange(r *http.Request) (answer, *apiError) {
	q, limit, err := queryParams(r)
	if err != nil {
		return answer{}, err
	}
	if q.start, err = wantTime(r, "start"); err != nil {
		return answer{}, err
	}
	if q.end, err = wantTime(r, "end"); err != nil {
		return answer{}, err
	}
	if q.end < q.start {
		return answer{}, badParam("end", errors.New("end timestamp must not be before start time"))
	}
	if q.step, err = durationParam(r, "step"); err != nil {
		return answer{}, err
	}
	if q.step == 0 {
		return answer{}, badParam("step", errors.New("missing; give seconds or a duration such as 10m"))
	}
	return a.evaluate(r, q, limit)
}

// evaluate runs a request and keeps at most limit series of the result.
func (a *API) evaluate(r *http.Request, q request, limit int) (answer, *apiError) {
	q.stats = r.FormValue("stats") != ""
	body, keep := a.recall(r.Context(), &q, limit)
	if body != nil {
		return answer{body: body}, nil
	}
	qry, res, done, err := a.run(r.Context(), q)
	if err != nil {
		return answer{}, err
	}
	value := res.Value
	truncated := false
	switch v := value.(type) {
	case promql.Vector:
		if truncated = limit > 0 && len(v) > limit; truncated {
			value = v[:limit]
		}
	case promql.Matrix:
		if truncated = limit > 0 && len(v) > limit; truncated {
			value = v[:limit]
		}
	case *rows:
		if truncated = limit > 0 && len(v.list) > limit; truncated {
			v.list = v.list[:limit]
		}
	}
	ans := answer{done: done, data: func(w *writer) {
		w.raw(`{"resultType":`)
		w.str(string(value.Type()))
		w.raw(`,"result":`)
		w.value(value)
		if q.stats {
			w.raw(`,"stats":`)
			w.json(statistics(qry))
		}
		w.raw("}")
	}}
	if of, ok := value.(*rows); ok && keep != nil {
		ans.keep = func(body []byte) { keep(body, &of.origin) }
	}
	ans.notes(res.Warnings, q.expr)
	if truncated {
		ans.warnings = append(ans.warnings, truncatedWarning)
	}
	return ans, nil
}

const truncatedWarning = "results truncated due to limit"

func (ans *answer) notes(notes annotations.Annotations, expr string) {
	ans.warnings, ans.infos = notes.AsStrings(expr, 10, 10)
}

func (a *API) formatQuery(r *http.Request) (answer, *apiError) {
	expr, err := a.parse(r.FormValue("query"))
	if err != nil {
		return answer{}, err
	}
	return answer{data: func(w *writer) { w.str(expr.Pretty(0)) }}, nil
}

// exemplars answers that there are none, once the request makes sense.
func (a *API) exemplars(r *http.Request) (answer, *apiError) {
	start, err := timeParam(r, "start", quantrac.MinMillis)
	if err != nil {
		return answer{}, err
	}
	end, err := timeParam(r, "end", quantrac.MaxMillis)
	if err != nil {
		return answer{}, err
	}
	if end < start {
		return answer{}, badParam("end", errors.New("end timestamp must not be before start timestamp"))
	}
	if _, err := a.parse(r.FormValue("query")); err != nil {
		return answer{}, err
	}
	return answer{data: func(w *writer) { w.raw("[]") }}, nil
}
