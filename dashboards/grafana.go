package dashboards

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed grafana
var grafanaFiles embed.FS

// Grafana returns the provisioning files and dashboards for a Grafana that
// reads this service as a Prometheus data source: copy provisioning/ to
// /etc/grafana/provisioning and dashboards/ to /var/lib/grafana/dashboards.
func Grafana() fs.FS {
	sub, err := fs.Sub(grafanaFiles, "grafana")
	if err != nil { // "grafana" is a valid path
		panic(err)
	}
	return sub
}

// Query is one request that a provisioned dashboard sends, with its variables
// still in it.
type Query struct {
	Dashboard string // file
	Where     string // panel, variable or annotation
	Expr      string // PromQL; of a label_values variable its metric selector, may be ""
	Label     string // of a label_values variable, else ""
	Instant   bool   // asked at one time, the end of the range, instead of over it

	Legend string   // what is written beside a series, with {{label}} in it; of a table ""
	Hidden []string // labels that a table does not show

	From, To time.Duration // the range it is asked over when the dashboard is opened, relative to now
	Pinned   bool          // the panel keeps that range when another relative one is chosen
}

// Queries reads every query of the dashboards in a file system: panels (also
// those in rows), variables and annotations. A target or variable of a form
// it does not know is an error, so that none goes untested.
func Queries(fsys fs.FS) ([]Query, error) {
	var out []Query
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".json" {
			return err
		}
		raw, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		qs, err := dashboardQueries(p, raw)
		out = append(out, qs...)
		return err
	})
	return out, err
}

type grafanaTarget struct {
	Expr    string `json:"expr"`
	RefID   string `json:"refId"`
	Legend  string `json:"legendFormat"`
	Instant bool   `json:"instant"`
	Hide    bool   `json:"hide"`
}

type grafanaPanel struct {
	Title     string          `json:"title"`
	Type      string          `json:"type"`
	TimeFrom  string          `json:"timeFrom"`
	TimeShift string          `json:"timeShift"`
	Targets   []grafanaTarget `json:"targets"`
	Panels    []grafanaPanel  `json:"panels"`

	Transformations []struct {
		Options struct {
			ExcludeByName map[string]bool `json:"excludeByName"`
		} `json:"options"`
	} `json:"transformations"`
}

type grafanaDashboard struct {
	Title  string         `json:"title"`
	Panels []grafanaPanel `json:"panels"`
	Time   struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"time"`
	Templating struct {
		List []struct {
			Name  string          `json:"name"`
			Type  string          `json:"type"`
			Query json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Name    string `json:"name"`
			Expr    string `json:"expr"`
			Text    string `json:"textFormat"`
			BuiltIn int    `json:"builtIn"`
		} `json:"list"`
	} `json:"annotations"`
}

// labelValues is the query of a variable: label_values(selector, label) or
// label_values(label).
var labelValues = regexp.MustCompile(`^label_values\((?:(.*),\s*)?(\w+)\)$`)

func dashboardQueries(file string, raw []byte) ([]Query, error) {
	var d grafanaDashboard
	err := json.Unmarshal(raw, &d)
	if err != nil {
		return nil, fmt.Errorf("grafana dashboard %s: %w", file, err)
	}
	var out []Query
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		text := ""
		var q struct {
			Query string `json:"query"`
		}
		if json.Unmarshal(v.Query, &text) != nil {
			if err := json.Unmarshal(v.Query, &q); err != nil {
				return nil, fmt.Errorf("grafana dashboard %s: variable %s: %w", file, v.Name, err)
			}
			text = q.Query
		}
		m := labelValues.FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("grafana dashboard %s: variable %s: %q is no label_values query", file, v.Name, text)
		}
		out = append(out, Query{Dashboard: file, Where: "variable " + v.Name, Expr: m[1], Label: m[2]})
	}
	for _, a := range d.Annotations.List {
		if a.BuiltIn != 0 {
			continue
		}
		if a.Expr == "" {
			return nil, fmt.Errorf("grafana dashboard %s: annotation %s has no expr", file, a.Name)
		}
		out = append(out, Query{Dashboard: file, Where: "annotation " + a.Name, Expr: a.Expr, Legend: a.Text})
	}
	if out, err = panelQueries(out, file, d.Panels); err != nil {
		return nil, err
	}
	return out, d.opened(out, file)
}

func panelQueries(out []Query, file string, panels []grafanaPanel) ([]Query, error) {
	for _, p := range panels {
		var err error
		if out, err = panelQueries(out, file, p.Panels); err != nil {
			return nil, err
		}
		from, to, pinned, err := p.span()
		if err != nil {
			return nil, fmt.Errorf("grafana dashboard %s: panel %q: %w", file, p.Title, err)
		}
		for _, t := range p.Targets {
			if t.Expr == "" {
				return nil, fmt.Errorf("grafana dashboard %s: panel %q: target %s has no expr", file, p.Title, t.RefID)
			}
			q := Query{Dashboard: file, Where: "panel " + p.Title + " " + t.RefID, Expr: t.Expr, Instant: t.Instant, From: from, To: to, Pinned: pinned}
			if q.Legend = t.Legend; p.Type == "table" {
				q.Legend, q.Hidden = "", p.hidden()
			}
			out = append(out, q)
		}
	}
	return out, nil
}

// variable is a reference to a dashboard variable: $name, ${name} or
// ${name:format}.
var variable = regexp.MustCompile(`\$(?:\{(\w+)(?::\w+)?\}|(\w+))`)

// Path returns the request's path and query below the data source's address:
// what Grafana would send with the variables set to values and the panel
// showing [from, to] in steps. An unset variable is an error. Built-in
// variables ($__rate_interval, $__interval, $__range) follow from the step.
func (q Query) Path(values map[string]string, from, to time.Time, step time.Duration) (string, error) {
	rate := max(4*step, time.Minute)
	known := map[string]string{
		"__interval": promDuration(step), "__rate_interval": promDuration(rate), "__range": promDuration(to.Sub(from)),
	}
	var missing []string
	expr := variable.ReplaceAllStringFunc(q.Expr, func(ref string) string {
		m := variable.FindStringSubmatch(ref)
		name := m[1] + m[2]
		if v, ok := known[name]; ok {
			return v
		}
		if v, ok := values[name]; ok {
			return v
		}
		missing = append(missing, name)
		return ref
	})
	if len(missing) > 0 {
		return "", fmt.Errorf("%s: %s: variables without a value: %s", q.Dashboard, q.Where, strings.Join(missing, ", "))
	}
	v := url.Values{}
	switch {
	case q.Label != "":
		if expr != "" {
			v.Set("match[]", expr)
		}
		v.Set("start", promTime(from))
		v.Set("end", promTime(to))
		return "/api/v1/label/" + url.PathEscape(q.Label) + "/values?" + v.Encode(), nil
	case q.Instant:
		v.Set("query", expr)
		v.Set("time", promTime(to))
		return "/api/v1/query?" + v.Encode(), nil
	}
	v.Set("query", expr)
	v.Set("start", promTime(from))
	v.Set("end", promTime(to))
	v.Set("step", strconv.FormatFloat(step.Seconds(), 'f', -1, 64))
	return "/api/v1/query_range?" + v.Encode(), nil
}

func promTime(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

func promDuration(d time.Duration) string {
	return strconv.FormatInt(max(int64(d/time.Millisecond), 1), 10) + "ms"
}
