package promql

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"quantrac"
)

// stuck is who asks and takes nothing of the answer until let.
type stuck struct {
	*httptest.ResponseRecorder
	writing, let chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	s.writing <- struct{}{}
	<-s.let
	return s.ResponseRecorder.Write(b)
}

// TestSlowTakers: who does not take an answer keeps nobody from asking, but what it
// holds in memory counts until it has.
func TestSlowTakers(t *testing.T) {
	clock := quantrac.NewManualClock(testNow - 2*hour)
	e := openDB(t, clock)
	newFixture(t, e, clock)
	for _, query := range []string{
		"water_level_meters", "sum by (station) (water_level_meters)", "-water_level_meters", // the last by the engine
	} {
		api := New(e.(Store), newTestRegistry(), Options{Clock: clock, MaxConcurrent: 1, MaxHeld: sharePiece * 3 / 2})
		handler := api.Handler()
		path := fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=600", strings.ReplaceAll(query, " ", "%20"), (testNow-day)/second, testNow/second)
		ask := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			return w
		}
		slow := &stuck{httptest.NewRecorder(), make(chan struct{}, 100), make(chan struct{})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			handler.ServeHTTP(slow, httptest.NewRequest("GET", path, nil))
		}()
		<-slow.writing
		if _, err := api.Instant(context.Background(), "1", testNow); err != nil {
			t.Errorf("%s: what holds nothing: %v", query, err)
		}
		if w := ask(); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "the limit for all") {
			t.Errorf("%s: beyond what all may hold: %d %.300s", query, w.Code, w.Body)
		}
		close(slow.let)
		<-done
		if w := ask(); w.Code != http.StatusOK || w.Body.String() != slow.Body.String() {
			t.Errorf("%s: once it was taken: %d %.300s", query, w.Code, w.Body)
		}
		if n := api.held.now.Load(); n != 0 {
			t.Errorf("%s: %d samples are held by nobody", query, n)
		}
	}
}

// TestTooMuchAlone: to ask again later is no advice for what is too much by itself.
func TestTooMuchAlone(t *testing.T) {
	clock := quantrac.NewManualClock(testNow - 2*hour)
	e := openDB(t, clock)
	newFixture(t, e, clock)
	api := New(e.(Store), newTestRegistry(), Options{Clock: clock, MaxHeld: 5000})
	for _, query := range []string{"water_level_meters", "max_over_time(water_level_meters[1h])", "-water_level_meters"} {
		w := httptest.NewRecorder()
		path := fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=1", query, (testNow-day)/second, (testNow-day)/second+10_000)
		api.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusUnprocessableEntity || w.Header().Get("Retry-After") != "" || strings.Contains(w.Body.String(), "later") {
			t.Errorf("%s: %d %.300s", query, w.Code, w.Body)
		}
	}
	if n := api.held.now.Load(); n != 0 {
		t.Errorf("%d samples are held by nobody", n)
	}
}

// TestHeldIsLetGo: requests that fail half-way hold nothing afterwards.
func TestHeldIsLetGo(t *testing.T) {
	clock := quantrac.NewManualClock(testNow - 2*hour)
	e := openDB(t, clock)
	newFixture(t, e, clock)
	api := New(e.(Store), newTestRegistry(), Options{Clock: clock, MaxSamples: 100})
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, query := range []string{
		"water_level_meters", "-water_level_meters", "max_over_time(water_level_meters[1h])", "sum(water_level_meters)", "(", "water_level_meters + on() water_level_meters",
	} {
		for _, ctx := range []context.Context{context.Background(), gone} {
			if _, err := api.Range(ctx, query, testNow-day, testNow, 60e9); err == nil {
				t.Errorf("%s was evaluated", query)
			}
		}
	}
	if n := api.held.now.Load(); n != 0 || len(api.turns) != 0 {
		t.Errorf("%d samples and %d turns are held by nobody", n, len(api.turns))
	}
}
