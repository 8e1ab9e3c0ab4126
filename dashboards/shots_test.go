package dashboards

import (
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
)

// shotsDir keeps pictures for people to look at; web/README.md says at what.
var shotsDir = flag.String("shots", "", "folder for pictures of the page")

// TestBrowserShots goes through the page and takes pictures. Where nobody looks
// at them it takes those of one screen, so that the tour does not break
// unnoticed.
func TestBrowserShots(t *testing.T) {
	screens := []screen{{"phone", "light", 390, 844}, {"phone", "dark", 390, 844}, {"desktop", "light", 1280, 800}, {"desktop", "dark", 1280, 800}}
	b := newBrowser(t)
	if b.shots == "" {
		b.shots, screens = t.TempDir(), screens[1:2]
	}
	if err := os.MkdirAll(b.shots, 0o755); err != nil {
		t.Fatal(err)
	}
	n := newNetwork()
	p := newPage(t, n, Options{OpenData: true, SignIn: true})
	var staff atomic.Bool
	srv := serve(t, signInFake(p, &staff))
	for _, sc := range screens {
		s := &shooter{b.tab(sc.w, sc.h, sc.scheme), srv.URL, sc.name + "-" + sc.scheme}
		s.overview()
		for _, id := range []string{"tan-quoi", "bay-01", "dong-09", "dong-07", "tram-chim"} {
			staff.Store(id == "tan-quoi")
			s.station(id)
		}
		staff.Store(false)
	}
	inEnglish(b.tab(390, 844, "dark"), srv.URL)
	if f := b.complaints(); len(f) > 0 {
		t.Errorf("the browser complains: %q", f)
	}
}

// screen is what somebody holds in his hand or has before him.
type screen struct {
	name, scheme string
	w, h         int
}

func inEnglish(tb *tab, url string) {
	tb.open(url + "/#/sign-in")
	tb.eval(`document.querySelector('.top button').click()`)
	tb.shot("phone-dark-signin-en")
	tb.eval(`location.hash = '#/'`)
	tb.until("rows", `document.querySelectorAll('.station').length > 10`)
	tb.eval(`document.querySelector('#stations').scrollIntoView()`)
	tb.shot("phone-dark-list-en")
}

// shooter takes the pictures of one size and scheme.
type shooter struct {
	*tab
	url, name string
}

func (s *shooter) overview() {
	s.open(s.url + "/")
	s.until("rows", `document.querySelectorAll('.station').length > 10 && (innerWidth < 1000 || document.querySelectorAll('.pin').length > 10)`)
	s.shot(s.name + "-list")
	s.eval(`location.hash = '#/map'`)
	s.until("map", `document.querySelectorAll('.pin').length > 10`)
	s.shot(s.name + "-map")
}

func (s *shooter) station(id string) {
	s.open(s.url + "/?x=" + id + "#/station/" + id)
	s.until("chart", `!!document.querySelector('.chart canvas') || !!document.querySelector('.card .empty')`)
	s.shot(s.name + "-" + id)
	for i, span := range []string{"1d", "5d", "30d"} {
		if id != "tan-quoi" || s.eval(fmt.Sprintf(`!!document.querySelectorAll('.spans button')[%d]`, i)) != "true" {
			continue
		}
		s.eval(fmt.Sprintf(`document.querySelectorAll('.spans button')[%d].click(); new Promise(r => setTimeout(r, 700))`, i))
		s.eval(`document.querySelector('.chart').scrollIntoView({block: 'center'})`)
		s.shot(s.name + "-" + id + "-" + span)
	}
	s.eval(`document.querySelector('.chart').scrollIntoView({block: 'start'})`)
	s.shot(s.name + "-" + id + "-chart")
	s.eval(`window.scrollTo(0, 1e6)`)
	s.shot(s.name + "-" + id + "-end")
}
