package forecast

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"quantrac"
	"quantrac/internal/jsonapi"
	"quantrac/internal/params"
)

// Handler serves the room as JSON, below the path where it is mounted (with
// http.StripPrefix):
//
//	GET /latest?station=&property=[&asof=]     newest run
//	GET /runs?station=&property=[&model=&from=&to=&asof=&limit=]
//	GET /runs/{id}[?asof=]                     one run
//	GET /skill?station=&property=[&model=&from=&to=&asof=]  default the last 60 days
//	GET /models                                what is forecast, and how it stands
//
// Times have the forms of quantrac.ParseTime; asof asks for what was archived by
// then. Forecasts are for staff (the principal of the context), within the
// stations they may see; where Options.Public says an issuing authority is
// recorded, for everybody. Errors have the form of package jsonapi.
func (f *Forecaster) Handler() http.Handler {
	mux := http.NewServeMux()
	serve := func(pattern string, get getter) { mux.Handle(pattern, get) }
	serveNow := func(pattern string, get getter) { mux.Handle(pattern, params.NowOnly(get)) }
	serve("GET /latest", func(r *http.Request) (any, error) {
		q, err := f.filter(r)
		if err != nil {
			return nil, err
		}
		return f.LatestAsOf(r.Context(), q.Station, q.Property, q.AsOf)
	})
	serve("GET /runs", func(r *http.Request) (any, error) {
		q, err := f.filter(r)
		if err != nil {
			return nil, err
		}
		runs, err := f.Runs(r.Context(), q)
		return map[string]any{"runs": slices.Clip(append([]*Run{}, runs...))}, err
	})
	serve("GET /runs/{id}", func(r *http.Request) (any, error) {
		id, err := strconv.ParseUint(r.PathValue("id"), 10, 63)
		if err != nil {
			return nil, quantrac.Errorf(quantrac.Invalid, "run %q is no number", r.PathValue("id"))
		}
		asOf, err := params.AsOf(r.URL.Query())
		if err != nil {
			return nil, err
		}
		run, err := f.Get(r.Context(), id)
		if err != nil {
			return nil, err
		}
		if asOf != 0 && run.Committed > asOf {
			return nil, quantrac.Errorf(quantrac.NotFound, "no forecast run %d yet at %v", id, asOf)
		}
		return run, f.allowed(r, run.Config.Station)
	})
	serve("GET /skill", func(r *http.Request) (any, error) {
		q, err := f.filter(r)
		if err != nil {
			return nil, err
		}
		const sixtyDays = quantrac.Millis(60 * 24 * 3600 * 1000)
		now := f.o.Clock.Now()
		q.To = min(cmp.Or(q.To, now), cmp.Or(q.AsOf, now), now)
		q.From = cmp.Or(q.From, q.To-sixtyDays)
		return f.Skill(r.Context(), q)
	})
	serveNow("GET /models", func(r *http.Request) (any, error) {
		models := []Model{}
		for _, m := range f.Models() {
			if f.allowed(r, m.Config.Station) == nil {
				models = append(models, m)
			}
		}
		return map[string]any{"models": models}, nil
	})
	return jsonapi.Routes(mux)
}

// getter answers one kind of request.
type getter func(r *http.Request) (any, error)

// ServeHTTP implements http.Handler.
func (get getter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, err := get(r)
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	jsonapi.Answer(w, v)
}

// allowed says whether who asks may see forecasts of a station.
func (f *Forecaster) allowed(r *http.Request, station string) error {
	p := quantrac.PrincipalFrom(r.Context())
	if p.Staff() && (p.Stations == nil || slices.Contains(p.Stations, station)) {
		return nil
	}
	if f.o.Public != nil && f.o.Public(station, f.o.Clock.Now()) {
		return nil
	}
	return quantrac.Errorf(quantrac.Denied, "forecasts of %s are for signed-in staff who may see it: no issuing authority is recorded", station)
}

// filter reads the query of a request and checks that it may be asked.
func (f *Forecaster) filter(r *http.Request) (Filter, error) {
	v := r.URL.Query()
	q := Filter{Station: v.Get("station"), Property: v.Get("property"), Model: v.Get("model")}
	if q.Station == "" || q.Property == "" {
		return q, quantrac.Errorf(quantrac.Invalid, "parameters station and property are wanted")
	}
	if v.Has("sensor") {
		s := v.Get("sensor")
		q.Sensor = &s
	}
	var err error
	for name, at := range map[string]*quantrac.Millis{"from": &q.From, "to": &q.To} {
		if *at, err = params.Time(v, name, 0); err != nil {
			return q, err
		}
	}
	if q.AsOf, err = params.AsOf(v); err != nil {
		return q, err
	}
	if q.From != 0 && q.To == 0 {
		q.To = quantrac.MaxMillis
	}
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxRuns {
			return q, quantrac.Errorf(quantrac.Invalid, "parameter limit: %q is not between 1 and %d", text, maxRuns)
		}
		q.Limit = n
	}
	return q, f.allowed(r, q.Station)
}
