package promql

import (
	"encoding/json"
	"net/http"
	"runtime"
	"time"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/stats"
)

// PrometheusVersion is the release of Prometheus whose engine evaluates (its Go
// module is v0.316.0), and the version told to clients that choose their
// requests by it.
const PrometheusVersion = "3.16.0"

// json writes a small value by reflection.
func (w *writer) json(v any) {
	b, err := json.Marshal(v)
	if err != nil { // only for values that cannot be: the types here all can
		b = []byte("null")
	}
	w.raw(string(b))
}

func jsonAnswer(v any) (answer, *apiError) {
	return answer{data: func(w *writer) { w.json(v) }}, nil
}

func statistics(q promql.Query) any { return stats.NewQueryStats(q.Stats()) }

func (a *API) buildInfo(*http.Request) (answer, *apiError) {
	return jsonAnswer(struct {
		Version            string `json:"version"`
		Revision           string `json:"revision"`
		Branch             string `json:"branch"`
		BuildUser          string `json:"buildUser"`
		BuildDate          string `json:"buildDate"`
		GoVersion          string `json:"goVersion"`
		Application        string `json:"application"`
		ApplicationVersion string `json:"applicationVersion"`
	}{
		Version: PrometheusVersion, Revision: a.o.Revision, GoVersion: runtime.Version(),
		Application: "quantrac", ApplicationVersion: a.o.Version,
	})
}

func (a *API) runtimeInfo(*http.Request) (answer, *apiError) {
	return jsonAnswer(struct {
		StartTime      time.Time `json:"startTime"`
		ServerTime     time.Time `json:"serverTime"`
		GoroutineCount int       `json:"goroutineCount"`
		GOMAXPROCS     int       `json:"GOMAXPROCS"`
	}{a.started.Time(), a.o.Clock.Now().Time(), runtime.NumGoroutine(), runtime.GOMAXPROCS(0)})
}

// rules and alerts: rules of ours are no PromQL and have their own surface.
func (a *API) rules(*http.Request) (answer, *apiError) {
	return answer{data: func(w *writer) { w.raw(`{"groups":[]}`) }}, nil
}

func (a *API) alerts(*http.Request) (answer, *apiError) {
	return answer{data: func(w *writer) { w.raw(`{"alerts":[]}`) }}, nil
}

// metricMetadata is what Prometheus tells of a metric.
type metricMetadata struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// metadata tells of the metrics with data what the registry knows, or their names
// say.
func (a *API) metadata(r *http.Request) (answer, *apiError) {
	limit, err := limitParam(r, "limit")
	if err != nil {
		return answer{}, err
	}
	if _, err := limitParam(r, "limit_per_metric"); err != nil {
		return answer{}, err
	}
	ctx, release, err := a.enter(r.Context(), 0)
	if err != nil {
		return answer{}, err
	}
	defer release()
	var ms []*quantrac.Matcher
	if m := r.FormValue("metric"); m != "" {
		ms = append(ms, quantrac.Equals(quantrac.LabelMetric, m))
	}
	names, e := a.store.LabelValues(ctx, quantrac.LabelMetric, ms, quantrac.MinMillis, quantrac.MaxMillis, 0)
	if e != nil {
		return answer{}, a.classify(storeError{e})
	}
	out := map[string][]metricMetadata{}
	for _, name := range names {
		if limit > 0 && len(out) >= limit {
			break
		}
		p, ok := a.reg.Property(name)
		if !ok {
			p = quantrac.Property{Name: name}
		}
		if ok || quantrac.MetricOf(name).Known {
			out[name] = []metricMetadata{describe(p.Named())}
		}
	}
	return jsonAnswer(out)
}

func describe(p quantrac.Property) metricMetadata {
	m := metricMetadata{Type: "gauge", Help: p.HumanName, Unit: p.Unit}
	if p.Cumulative {
		m.Type = "counter"
	}
	if p.HumanNameEn != "" && p.HumanNameEn != p.HumanName {
		if m.Help != "" {
			m.Help += " · "
		}
		m.Help += p.HumanNameEn
	}
	return m
}
