package dashboards

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"quantrac"
)

// behindProxy answers as a proxy does while the centre is away.
func behindProxy(next http.Handler, away *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "Bad Gateway", http.StatusBadGateway)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// manyWarnings leaves room for list and map, on a phone too: the worst in a line
// each, what is measured before what is made up, and the way to all of them.
func manyWarnings(t *testing.T, tb *tab, n *network) {
	var all []quantrac.Warning
	for i := range 68 {
		w := n.warning()
		w.ID, w.Level, w.Simulated = fmt.Sprint("many", i), 1+i%3, i%3 == 2
		w.StationName, w.Kind = quantrac.Text{Vi: fmt.Sprintf("Trạm số %d có tên dài không vừa một dòng", i)}, quantrac.ThresholdWatch
		w.Headline.Vi = w.StationName.Vi + ": mực nước vượt ngưỡng theo dõi"
		w.Detail.Vi = "Thông tin quan trắc – cảnh báo kỹ thuật\nLúc 03:10 mực nước cao."
		all = append(all, w)
	}
	n.warnings.set(all...)
	n.feed <- Change{Warnings: true}
	for _, width := range []int{360, 1280} {
		tb.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600})
		tb.eval(`location.hash = '#/'`)
		tb.until("the worst of them", `document.querySelectorAll('.warnings .warning.brief').length >= 3 && document.querySelector('.warnings h2').innerText.includes('68')`)
		tb.shot(fmt.Sprint("many-list-", width))
		tb.until("the list in sight", `scrollTo(0, 0), document.querySelector('.station').getBoundingClientRect().top < innerHeight`)
		if got := tb.eval(`document.querySelector('.warning').className`); !strings.Contains(got, "level2") { // level 3 is all made up
			t.Errorf("at %d px the first is %q", width, got)
		}
		if got := tb.eval(`document.querySelector('.warning summary small').innerText`); !strings.HasPrefix(got, "mức II · ") {
			t.Errorf("at %d px the first says %q", width, got)
		}
		tb.eval(`location.hash = '#/map'`)
		tb.shot(fmt.Sprint("many-map-", width))
		tb.until("the map in sight", `!!document.querySelector('.map') && (scrollTo(0, 0), document.querySelector('.map').getBoundingClientRect().top < innerHeight * .65)`)
	}
	tb.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": true})
	tb.until("the way to all of them", `[...document.querySelectorAll('.warnings a')].filter(a => a.innerText === 'Xem tất cả 68 cảnh báo').map(a => a.click()).length === 1`)
	tb.until("all of them", `document.querySelectorAll('.warnings.all .warning').length === 68`)
	if got := tb.eval(`Math.max(...[...document.querySelectorAll('.warning')].map(x => x.offsetHeight)) < 56`); got != "true" {
		t.Error("a warning takes more than a line")
	}
	tb.shot("many-all-360")
	tb.eval(`document.querySelector('.warning summary').click()`)
	tb.until("what it says, line by line", `document.querySelector('.warning').innerText.includes('cảnh báo kỹ thuật\nLúc 03:10')`)
	n.warnings.set(all[:3]...)
	n.feed <- Change{Warnings: true}
	tb.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true})
	tb.eval(`location.hash = '#/'`)
	tb.until("a few are cards again", `document.querySelectorAll('.warning').length === 3 && !document.querySelector('.warning.brief')`)
}

// TestBrowserLongNames: a name without a place to break it makes no view wider than
// the screen.
func TestBrowserLongNames(t *testing.T) {
	b := newBrowser(t)
	n := newNetwork()
	long := strings.Repeat("Trạmquantrắcmựcnướctựđộng", 8)
	for i := range n.registry.stations {
		if n.registry.stations[i].ID == "tan-quoi" {
			st := &n.registry.stations[i]
			st.Name, st.River, st.Operator, st.District = long, long, long, long
		}
	}
	for i := range n.registry.properties["tan-quoi"] {
		n.registry.properties["tan-quoi"][i].HumanName = long
	}
	for i := range n.registry.thresholds {
		n.registry.thresholds[i].LegalBasis = long
	}
	w := n.warning()
	w.Headline.Vi, w.Detail.Vi, w.Advice.Vi, w.Authority = long, long, long, long
	n.warnings.set(w)
	p, _ := runPage(t, n, Options{OpenData: true, SignIn: true}, quantrac.Principal{})
	var staff atomic.Bool
	staff.Store(true)
	srv := serve(t, signInFake(p, &staff))
	for _, width := range []int{320, 360, 1280} {
		tb := b.tab(width, 800, "light")
		for view, there := range map[string]string{
			"": ".station", "map": ".pin", "warnings": ".warnings.all .warning", "station/tan-quoi": ".chart canvas", "station/tram-chim": ".chart canvas",
		} {
			tb.open(srv.URL + "/?" + strings.ReplaceAll(view, "/", "-") + "#/" + view)
			tb.until(view, fmt.Sprintf(`!!document.querySelector(%q)`, there))
			if got := tb.eval(`document.scrollingElement.scrollWidth - document.documentElement.clientWidth`); got != "0" {
				t.Errorf("%q at %d px is %s px too wide", view, width, got)
			}
			tb.shot(fmt.Sprintf("long-%d-%s", width, strings.ReplaceAll(view, "/", "-")))
		}
	}
}
