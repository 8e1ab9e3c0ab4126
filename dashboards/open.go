package dashboards

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"quantrac"
	"quantrac/internal/params"
)

// maxCSVSpan bounds what one request for open data reads.
const maxCSVSpan = 400 * 24 * time.Hour

// serveStationCSV answers GET /api/page/station/{id}/series.csv: the readings
// behind a chart, all of them, as a table; with asof as they were known then.
func (p *Page) serveStationCSV(w http.ResponseWriter, r *http.Request) {
	a, err := p.ask(r)
	if err == nil {
		err = p.sendCSV(w, r, a)
	}
	if err != nil {
		p.fail(w, r, err)
	}
}

// serveOpenCSV answers GET /open/series.csv?station=&series=&from=&to=&asof=;
// times in the forms of quantrac.ParseTime, without from and to the last five
// days. With asof the readings are those that were known then.
func (p *Page) serveOpenCSV(w http.ResponseWriter, r *http.Request) {
	openHeaders(w.Header())
	a, err := p.ask(r)
	if err == nil {
		err = a.times(r)
	}
	if err == nil {
		err = p.sendCSV(w, r, a)
	}
	if err != nil {
		p.fail(w, r, err)
	}
}

// times reads from and to of a request.
func (a *asked) times(r *http.Request) error {
	for name, to := range map[string]*quantrac.Millis{"from": &a.from, "to": &a.to} {
		t, err := params.Time(r.URL.Query(), name, *to)
		if err != nil {
			return err
		}
		*to = t
	}
	if a.to < a.from {
		return quantrac.Errorf(quantrac.Invalid, "from %s lies after to %s", a.from, a.to)
	}
	if a.to.Sub(a.from) > maxCSVSpan {
		return quantrac.Errorf(quantrac.Invalid, "from %s to %s is more than %d days; ask in parts", a.from, a.to, int(maxCSVSpan.Hours()/24))
	}
	return nil
}

// openHeaders lets pages of other sites read the open data.
func openHeaders(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

func (p *Page) sendCSV(w http.ResponseWriter, r *http.Request, a *asked) error {
	readings, err := a.chosen()
	if err != nil {
		return err
	}
	var got []Series
	if len(readings) > 0 {
		if got, err = p.read(r.Context(), a, readings[0].Metric); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("%s_%s.csv", fileName(a.cell.view.ID), a.to.Time().In(quantrac.Zone).Format("20060102T1504"))
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-cache")
	b := bufio.NewWriter(w)
	if err := writeCSV(b, a.cell.view, readings, got); err != nil {
		return err
	}
	return b.Flush()
}

// writeCSV writes one line a reading: time at +07:00, station, metric, sensor,
// species, value, unit, the quality's QARTOD flag, and whether it is simulated.
func writeCSV(w io.Writer, v *stationView, readings []readingView, got []Series) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"time", "station", "metric", "sensor", "species", "value", "unit", "quality", "simulated"}); err != nil {
		return err
	}
	for _, s := range got {
		i := slices.IndexFunc(readings, func(r readingView) bool { return r.Key == seriesKey(s.Labels) })
		if i < 0 {
			continue
		}
		r := readings[i]
		for j, t := range s.Times {
			value := ""
			if !math.IsNaN(s.Values[j]) {
				value = strconv.FormatFloat(s.Values[j], 'f', -1, 64)
			}
			line := []string{
				t.String(), v.ID, r.Metric, r.Sensor, r.Species, value, r.Unit,
				strconv.Itoa(int(s.Qualities[j].Code())), strconv.FormatBool(v.Simulated),
			}
			if err := c.Write(line); err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}

// fileName keeps what is safe in a file's name.
func fileName(id string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, id)
}

// feature is a station in GeoJSON (RFC 7946); geometry is null where its
// place is not known.
type feature struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	Geometry   *point          `json:"geometry"`
	Properties json.RawMessage `json:"properties"`
}

type point struct {
	Type        string     `json:"type"`
	Coordinates [2]float64 `json:"coordinates"` // longitude, latitude
}

// serveGeoJSON answers GET /open/stations.geojson: the stations with their
// newest readings and state, as the page has them.
func (p *Page) serveGeoJSON(w http.ResponseWriter, r *http.Request) {
	openHeaders(w.Header())
	v, err := p.current(r.Context())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	who := quantrac.PrincipalFrom(r.Context())
	fs := []feature{}
	for _, c := range v.cells {
		if !sees(who, c.view.ID) {
			continue
		}
		f := feature{Type: "Feature", ID: c.view.ID, Properties: c.raw}
		if c.view.Lat != nil {
			f.Geometry = &point{"Point", [2]float64{*c.view.Lon, *c.view.Lat}}
		}
		fs = append(fs, f)
	}
	raw, err := json.Marshal(map[string]any{
		"type": "FeatureCollection", "features": fs, "name": p.o.Title.Vi,
		"generated": p.o.Clock.Now().String(), "interrupted": v.trouble != nil,
	})
	if err != nil {
		p.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	writePacked(w, r, "application/geo+json", &packed{raw: raw, gz: gzipped(raw)})
}
