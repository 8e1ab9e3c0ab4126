package dashboards

import (
	"flag"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// shotsDir keeps screenshots of the browser test for people to look at:
//
//	go test ./dashboards -run TestBrowser -shots /tmp
var shotsDir = flag.String("shots", "", "folder for screenshots of the page")

func TestBrowserShots(t *testing.T) {
	if *shotsDir == "" {
		t.Skip("takes pictures for people when -shots names a folder")
	}
	b := newBrowser(t)
	n := newNetwork()
	p, err := New(n.deps(), Options{Clock: n.clock, OpenData: true, SignIn: true})
	if err != nil {
		t.Fatal(err)
	}
	var staff atomic.Bool
	srv := httptest.NewServer(signInFake(p, &staff))
	defer srv.Close()
	defer p.Close()
	for _, size := range []struct {
		name string
		w, h int
	}{{"phone", 390, 844}, {"desktop", 1280, 800}} {
		for _, scheme := range []string{"light", "dark"} {
			tb := b.tab(size.w, size.h, scheme)
			tb.open(srv.URL + "/")
			tb.until("rows", `document.querySelectorAll('.station').length > 10`)
			if size.name == "desktop" {
				tb.until("map", `document.querySelectorAll('.pin').length > 10`)
			}
			tb.shot(size.name + "-" + scheme + "-list")
			tb.eval(`location.hash = '#/map'`)
			tb.until("map", `document.querySelectorAll('.pin').length > 10`)
			tb.shot(size.name + "-" + scheme + "-map")
			for _, id := range []string{"tan-quoi", "bay-01", "dong-09", "dong-07", "tram-chim"} {
				if scheme == "light" && id != "tan-quoi" && size.name == "desktop" {
					continue
				}
				staff.Store(id == "tan-quoi")
				tb.open(srv.URL + "/?x=" + id + "#/station/" + id)
				tb.until("chart", `!!document.querySelector('.chart canvas') || !!document.querySelector('.card .empty')`)
				tb.shot(size.name + "-" + scheme + "-" + id)
				if size.name == "phone" && (id == "tan-quoi" || id == "bay-01") {
					tb.eval(`document.querySelector('.chart').scrollIntoView({block: 'center'}); if ('` + id + `' === 'tan-quoi') document.querySelectorAll('.spans button')[1].click()`)
					tb.until("5 days", `document.querySelectorAll('.spans button[aria-pressed=true]').length === 1 && !!document.querySelector('.chart canvas')`)
					tb.eval(`new Promise(r => setTimeout(r, 700))`)
					tb.shot(size.name + "-" + scheme + "-" + id + "-chart")
					tb.eval(`window.scrollTo(0, 1e6)`)
					tb.shot(size.name + "-" + scheme + "-" + id + "-end")
				}
				if id == "tan-quoi" && scheme == "dark" {
					tb.eval(`document.querySelectorAll('.spans button')[2].click()`)
					tb.eval(`new Promise(r => setTimeout(r, 700))`)
					tb.eval(`document.querySelector('.chart').scrollIntoView({block: 'center'}); document.querySelector('.card details.table').open = true`)
					tb.shot(size.name + "-" + scheme + "-" + id + "-30d")
				}
				staff.Store(false)
			}
		}
	}
	tb := b.tab(390, 844, "dark")
	tb.open(srv.URL + "/#/sign-in")
	tb.eval(`document.querySelector('.top button').click()`)
	tb.shot("phone-dark-signin-en")
	tb.eval(`location.hash = '#/'`)
	tb.until("rows", `document.querySelectorAll('.station').length > 10`)
	tb.eval(`document.querySelector('#stations').scrollIntoView()`)
	tb.shot("phone-dark-list-en")
	for _, f := range b.faults {
		t.Log(f)
	}
}
