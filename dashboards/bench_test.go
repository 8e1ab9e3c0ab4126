package dashboards

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"quantrac"
)

// province is a network of many gauges of ten minutes.
func province(stations int) *network {
	n := &network{clock: quantrac.NewManualClock(fakeNow), registry: &fakeRegistry{properties: map[string][]quantrac.Property{}}, warnings: &fakeWarnings{}, forecasts: fakeForecasts{}, feed: make(fakeFeed)}
	n.store = newFakeStore(n.clock.Now)
	for i := range stations {
		id := fmt.Sprintf("g%04d", i)
		n.add(quantrac.Station{ID: id, Name: "Trạm " + id, Family: quantrac.FamilyGauge, Lat: 10.5, Lon: 105.5, Commune: "30001"}, level())
		ls := quantrac.NewLabels(quantrac.LabelMetric, "water_level_meters", quantrac.LabelStation, id)
		s := &Series{Labels: ls}
		for k := range 305 {
			s.Times = append(s.Times, fakeNow.Add(-time.Duration(305-k)*10*time.Minute))
			s.Values = append(s.Values, float64(100+(k*7+i)%50)/100)
			s.Qualities = append(s.Qualities, quantrac.Good)
		}
		n.store.data[ls.Key()] = s
	}
	return n
}

func benchPage(b *testing.B, stations int) *Page {
	p, err := New(province(stations).deps(), Options{Clock: quantrac.NewManualClock(fakeNow), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkLook is a look at everything: what Options.Look costs. The fake
// store's share is in it.
func BenchmarkLook(b *testing.B) {
	p := benchPage(b, 1000)
	p.running.Store(true)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.refresh(b.Context(), nil, true); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "stations/s")
}

// BenchmarkState is one phone's question while nothing changes.
func BenchmarkState(b *testing.B) {
	p := benchPage(b, 1000)
	p.running.Store(true)
	r := httptest.NewRequest(http.MethodGet, "/api/page/state", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		size = w.Body.Len()
	}
	b.ReportMetric(float64(size)/1000, "gzbytes/station")
}

// BenchmarkChart thins thirty days of a reading a minute.
func BenchmarkChart(b *testing.B) {
	s := &Series{}
	for k := range 30 * 1440 {
		s.Times = append(s.Times, fakeNow.Add(-time.Duration(30*1440-k)*time.Minute))
		s.Values = append(s.Values, float64(k%977)/100)
		s.Qualities = append(s.Qualities, quantrac.Good)
	}
	b.ReportAllocs()
	for b.Loop() {
		var c chartSeries
		c.chart(s, time.Minute, fakeNow.Add(-30*24*time.Hour), fakeNow)
	}
	b.ReportMetric(float64(len(s.Times))*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
}
