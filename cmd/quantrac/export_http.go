package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"quantrac"
	"quantrac/internal/exchange"
	"quantrac/internal/jsonapi"
	"quantrac/internal/params"
)

// Headers of an export's answer.
const (
	headerCommit = "Quantrac-Commit" // number of the commit as of which it reads
	headerLabels = "Quantrac-Labels" // names of the labels that its series have, as JSON
	headerSeries = "Quantrac-Series" // how many series there are, or a few more
)

// exchanges serves export and import over HTTP. So many of each at once: they
// last, and each holds memory.
type exchanges struct {
	sys                *system
	exports, importing chan struct{}
}

func newExchanges(s *system) *exchanges {
	return &exchanges{sys: s, exports: make(chan struct{}, 4), importing: make(chan struct{}, 4)}
}

func (e *exchanges) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /api/data/export", staffOnly(http.HandlerFunc(e.export)))
	mux.HandleFunc("POST /api/data/import", e.imports)
	return jsonapi.Routes(mux)
}

// turn takes a turn, or answers that there is none.
func turn(w http.ResponseWriter, turns chan struct{}) bool {
	select {
	case turns <- struct{}{}:
		return true
	default:
		w.Header().Set("Retry-After", "5")
		jsonapi.Fail(w, quantrac.Errorf(quantrac.Busy, "%d of these are under way; come again later", cap(turns)))
		return false
	}
}

// export streams what the parameters ask for. An error after the first bytes
// breaks the connection off, so that nobody takes a part for the whole.
func (e *exchanges) export(w http.ResponseWriter, r *http.Request) {
	o, format, err := e.asked(r.URL.Query())
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	if !turn(w, e.exports) {
		return
	}
	defer func() { <-e.exports }()
	names, err := o.labelNames(r.Context())
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	buf := bufio.NewWriterSize(w, 64<<10)
	out, err := exchange.NewWriter(buf, format, exchange.WriteOptions{LabelNames: names, Revisions: o.every})
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	begun := false
	begin := func(series int) {
		if !begun {
			begun = true
			o.head(w.Header(), format, names, series)
		}
	}
	err = o.each(r.Context(), func(s *exchange.Stretch, left int) error {
		begin(left)
		return out.Write(s)
	})
	if err != nil && !begun {
		jsonapi.Fail(w, err)
		return
	}
	begin(0)
	if err == nil {
		err = out.Close()
	}
	if err == nil {
		err = buf.Flush()
	}
	if err != nil {
		if r.Context().Err() == nil {
			e.sys.log.Error("export broken off", "error", err)
		}
		panic(http.ErrAbortHandler) // which is how a handler breaks a connection off
	}
}

// head says what comes.
func (o *outgoing) head(h http.Header, format exchange.Format, names []string, series int) {
	list, _ := json.Marshal(names) // strings always marshal
	h.Set("Content-Type", format.MediaType())
	h.Set("Content-Disposition", `attachment; filename="quantrac.`+string(format)+`"`)
	h.Set("Cache-Control", "no-store")
	h.Set(headerCommit, strconv.FormatUint(o.commit, 10))
	h.Set(headerSeries, strconv.Itoa(series))
	h.Set(headerLabels, string(list))
}

// asked reads the parameters of an export.
func (e *exchanges) asked(v url.Values) (o outgoing, format exchange.Format, err error) {
	if format, err = exchange.ParseFormat(v.Get("format")); err != nil {
		return o, format, err
	}
	if o.from, err = params.Time(v, "start", quantrac.MinMillis); err != nil {
		return o, format, err
	}
	if o.to, err = params.Time(v, "end", quantrac.MaxMillis); err != nil {
		return o, format, err
	}
	asOf, err := params.AsOf(v)
	if err != nil {
		return o, format, err
	}
	if o.selections, err = e.sys.promql.Selections(append(v["match[]"], v["match"]...), o.to, asOf); err != nil {
		return o, format, err
	}
	switch v.Get("revisions") {
	case "", "false", "0":
	case "true", "1":
		o.every = true
	default:
		return o, format, quantrac.Errorf(quantrac.Invalid, "invalid parameter \"revisions\": want true or false")
	}
	o.db, o.commit = e.sys.db, e.sys.db.Stats().Applied
	if text := v.Get("commit"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n > o.commit {
			return o, format, quantrac.Errorf(quantrac.Invalid, "invalid parameter \"commit\": want a number up to %d", o.commit)
		}
		o.commit = n
	}
	if text := v.Get("after"); text != "" {
		var m map[string]string
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return o, format, quantrac.Errorf(quantrac.Invalid, "invalid parameter \"after\": want the labels of a series as a JSON object: %w", err)
		}
		o.after = quantrac.LabelsFromMap(m)
	}
	return o, format, nil
}
