package promql

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"quantrac"
)

// TestKeptAnswersConcurrently: while levels rise, each value at the times of the one
// before, and blocks are written, merged and let go, no answer, kept or not, shows
// less than had been acknowledged when it was asked for, nor a station that the
// principal may not see.
func TestKeptAnswersConcurrently(t *testing.T) {
	clock := quantrac.NewManualClock(testNow)
	e := openDB(t, clock)
	db := e.(openedDB).DB
	api := New(db, &countedRegistry{testRegistry: newTestRegistry()}, Options{Clock: clock})
	stations := []string{"a", "b", "c"}
	var acked [3]atomic.Int64
	var writers, others sync.WaitGroup
	stop := make(chan struct{})
	for i, s := range stations {
		writers.Go(func() {
			for n := range int64(300) {
				b := &quantrac.Batch{}
				for k := range 7 {
					b.Rows = append(b.Rows, quantrac.Row{
						Group: quantrac.NewLabels("station", s), Time: testNow - 5*day + quantrac.Millis(k)*20*hour,
						Cells: []quantrac.Cell{{Property: "level", Value: float64(n) / 10}},
					})
				}
				appendBatch(t, e, b)
				acked[i].Store(n)
			}
		})
	}
	others.Go(func() {
		for n := 0; !closed(stop); n++ {
			err := db.Flush(context.Background())
			if n%3 == 2 && err == nil {
				err = db.Compact(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for reader := range 3 {
		others.Go(func() {
			rnd := rand.New(rand.NewPCG(3, uint64(reader)))
			for !closed(stop) && !t.Failed() {
				mine := [][]string{nil, {"a"}, {"b", "c"}, {"c", "a"}}[rnd.IntN(4)]
				var floor [3]int64
				for i := range stations {
					floor[i] = acked[i].Load()
				}
				checkLevels(t, api, mine, rnd.IntN(4), stations, floor)
			}
		})
	}
	writers.Wait()
	close(stop)
	others.Wait()
	if api.Stats().Kept == 0 {
		t.Error("no answer was ever kept")
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// checkLevels asks one of some questions as a principal of stations, nil for all,
// and wants each station's newest level to be at least a tenth of its floor.
func checkLevels(t *testing.T, api *API, mine []string, question int, stations []string, floor [3]int64) {
	path := fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=%d", []string{
		"max_over_time(level[1d])", "max_over_time(level[6h])", "max by (station) (last_over_time(level[2d]))", "level",
	}[question], (testNow-5*day)/second, testNow/second, []int{86400, 21600, 86400, 72000}[question])
	ctx := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Stations: mine})
	w := httptest.NewRecorder()
	api.Handler().ServeHTTP(w, httptest.NewRequest("GET", strings.ReplaceAll(path, " ", "%20"), nil).WithContext(ctx))
	var got struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Errorf("%s: %d %s", path, w.Code, w.Body)
		return
	}
	seen := 0
	for _, s := range got.Data.Result {
		i := slices.Index(stations, s.Metric["station"])
		if i < 0 || mine != nil && !slices.Contains(mine, stations[i]) {
			t.Errorf("%s: who may see %v is shown %v", path, mine, s.Metric)
			return
		}
		seen++
		for _, v := range s.Values {
			if f, err := strconv.ParseFloat(v[1].(string), 64); err != nil || f < float64(floor[i])/10 {
				t.Errorf("%s: %s shows %v at %v, %v had been acknowledged", path, stations[i], v[1], v[0], float64(floor[i])/10)
				return
			}
		}
	}
	if floor[0] > 0 && floor[1] > 0 && floor[2] > 0 && seen < max(len(mine), 1) {
		t.Errorf("%s: %d stations of %v", path, seen, mine)
	}
}
