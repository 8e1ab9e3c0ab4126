package dashboards

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
)

// serve serves the page until the end of the test.
func serve(t *testing.T, page http.Handler) *httptest.Server {
	srv := httptest.NewServer(page)
	t.Cleanup(func() { shut(srv) })
	return srv
}

// shut ends a server with its live streams, which never end by themselves. None
// may begin meanwhile: a browser whose stream ends comes back.
func shut(srv *httptest.Server) {
	srv.Listener.Close()
	srv.CloseClientConnections()
	srv.Close()
}

// TestBrowser uses the page as people do, in a real browser.
func TestBrowser(t *testing.T) {
	b := newBrowser(t)
	n := newNetwork()
	p, _ := runPage(t, n, Options{OpenData: true, SignIn: true}, quantrac.Principal{})
	var away atomic.Bool
	srv := serve(t, behindProxy(signInFake(p, nil), &away))
	tb := b.tab(390, 844, "light")
	tb.open(srv.URL + "/")
	tb.until("all stations", `document.querySelectorAll('.station').length === 31`)
	for what, want := range map[string]string{
		`document.documentElement.lang`:                                  "vi",
		`document.title`:                                                 "Quan trắc Đồng Tháp",
		`document.querySelector('.simulated').textContent`:               "MÔ PHỎNG / SIMULATED",
		`document.querySelector('.warning').textContent`:                 "mực nước trên ngưỡng theo dõi II",
		`document.querySelector('[href$="tan-quoi"].station').innerText`: "2,71 m",
		`document.querySelector('[href$="dong-09"].station').innerText`:  "Không nhận được số đo 5 giờ nay",
		`document.querySelector('[href$="dong-10"].station').innerText`:  "Số đo hỏng từ 03:03",
		`document.querySelector('[href$="dong-07"].station').innerText`:  "Dông tại vị trí",
		`document.querySelector('[href$="bay-01"].station').innerText`:   "con/bẫy/đêm",
	} {
		if got := tb.eval(what); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", what, got, want)
		}
	}
	t.Run("find and filter", func(t *testing.T) { findAndFilter(t, tb) })
	t.Run("reach and read", func(t *testing.T) { reachAndRead(t, tb) })
	t.Run("links", func(t *testing.T) { linksOfMessages(t, tb, srv.URL) })
	t.Run("station by keyboard", func(t *testing.T) { stationByKeyboard(t, tb) })
	t.Run("map", func(t *testing.T) { mapShowsAll(t, tb) })
	t.Run("live", func(t *testing.T) {
		tb.eval(`location.hash = '#/'`)
		tb.until("the live line", `document.querySelector('.line').classList.contains('live')`)
		n.clock.Advance(8 * time.Minute)
		n.rise("tram-chim", 2.34)
		tb.until("the new reading", `document.querySelector('[href$="tram-chim"].station').innerText.includes('2,34 m')`)
	})
	t.Run("warning", func(t *testing.T) {
		w := n.warning()
		w.ID, w.Level, w.Station = "w9", 3, "tram-chim"
		w.Headline = quantrac.Text{Vi: "Tràm Chim: mực nước trên ngưỡng theo dõi III", En: "Tràm Chim: water above watch level III"}
		n.warnings.set(w, n.warning())
		n.feed <- Change{Warnings: true}
		tb.until("the new warning on top", `document.querySelector('.warning').innerText.includes('Tràm Chim') && document.querySelectorAll('.warning').length === 2`)
		tb.until("said to a screen reader", `document.querySelector('[aria-live=assertive]').textContent === 'Cảnh báo mới: Tràm Chim: mực nước trên ngưỡng theo dõi III'`)
	})
	t.Run("interrupted", func(t *testing.T) {
		n.store.fail(errors.New("checksum"))
		n.rise("tram-chim", 2.36)
		tb.until("the banner", `document.querySelector('.banner.trouble')?.innerText.includes('Trung tâm không đọc được số liệu từ 03:20')`)
		n.store.fail(nil)
		n.rise("tram-chim", 2.34)
		tb.until("no banner", `!document.querySelector('.banner.trouble')`)
	})
	t.Run("sign in", func(t *testing.T) { signInAndOut(t, tb) })
	t.Run("language", func(t *testing.T) {
		tb.eval(`location.hash = '#/'; document.querySelector('.top button').click()`)
		tb.until("English", `document.documentElement.lang === 'en' && document.querySelector('[href$="tram-chim"].station').innerText.includes('2.34 m')`)
		tb.open(srv.URL + "/?again")
		tb.until("English after a reload", `document.documentElement.lang === 'en' && document.querySelectorAll('.station').length === 31`)
		tb.eval(`document.querySelector('.top button').click()`)
	})
	for u := range b.hosts {
		if !strings.HasPrefix(u, srv.URL) && !strings.HasPrefix(u, "data:") && u != "about:blank" {
			t.Errorf("the page asked %s", u)
		}
	}
	if f := b.complaints(); len(f) > 0 {
		t.Errorf("the browser complains: %q", f)
	}
	t.Run("many warnings", func(t *testing.T) { manyWarnings(t, tb, n) })
	t.Run("offline", func(t *testing.T) {
		tb.until("the live line", `document.querySelector('.line').classList.contains('live')`)
		n.rise("tram-chim", 2.41)
		tb.until("the newest reading, kept as it came", `caches.open('data').then(c => c.match('/api/page/state')).then(r => r?.json()).then(s => s?.stations.find(x => x.id === 'tram-chim').readings[0].value === 2.41)`)
		tb.until("the service worker", `navigator.serviceWorker.ready.then(r => !!r.active && !!navigator.serviceWorker.controller)`)
		const kept = `document.querySelectorAll('.station').length === 31 && document.querySelector('.line.offline').innerText.includes('Ngoại tuyến. Số liệu lưu lúc 03:20') &&
			document.querySelector('[href$="tram-chim"].station').innerText.includes('2,41 m') && document.querySelectorAll('.warning').length === 3`
		away.Store(true) // the proxy is there, the centre is not
		tb.open(srv.URL + "/?away")
		tb.until("the kept figures behind a proxy", kept)
		shut(srv)
		tb.open(srv.URL + "/?offline")
		tb.until("the kept figures, marked", kept)
	})
}

func findAndFilter(t *testing.T, tb *tab) {
	typed := func(text string) {
		tb.eval(fmt.Sprintf(`(() => { const i = document.querySelector('input[type=search]'); i.value = %q; i.dispatchEvent(new Event('input', {bubbles: true})) })()`, text))
	}
	rows := func(n int) {
		t.Helper()
		tb.until(fmt.Sprint(n, " rows"), fmt.Sprintf(`document.querySelectorAll('.station').length === %d`, n))
	}
	typed("tram chim") // without marks
	rows(1)
	typed("không có gì như thế")
	tb.until("a word for nothing", `document.querySelector('.empty').innerText.includes('Không có trạm nào khớp')`)
	typed("")
	tb.eval(`[...document.querySelectorAll('.chips button')].find(b => b.innerText.includes('Bẫy đèn')).click()`)
	rows(13)
	tb.eval(`document.querySelector('.chips button').click()`)
	rows(31)
	tb.eval(`(() => { const s = document.querySelector('.sort select'); s.value = 'name'; s.dispatchEvent(new Event('change', {bubbles: true})) })()`)
	tb.until("sorted by name", `document.querySelector('.station b').innerText === 'An Long'`)
	tb.eval(`(() => { const s = document.querySelector('.sort select'); s.value = 'grave'; s.dispatchEvent(new Event('change', {bubbles: true})) })()`)
	tb.until("the gravest first", `document.querySelector('.station b').innerText === 'Tháp Mười'`)
}

// reachAndRead measures what fingers and eyes need: targets of 44 px, nothing
// wider than the screen, contrast by WCAG 2.2 (1.4.3: 4.5 to 1 for text).
func reachAndRead(t *testing.T, tb *tab) {
	small := tb.eval(`[...document.querySelectorAll('button, select, input, a.station, .tabs a, .go, .tool, summary')].filter(e => e.offsetParent).
		map(e => [e.outerHTML.slice(0, 60), e.getBoundingClientRect()]).filter(([, r]) => r.height < 43.9 || r.width < 43.9).map(([h, r]) => h + ' ' + r.width + '×' + r.height).join('\n')`)
	if small != "" {
		t.Errorf("targets below 44 px:\n%s", small)
	}
	for _, width := range []int{320, 390, 1280} {
		tb.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600})
		if got := tb.eval(`document.scrollingElement.scrollWidth - document.documentElement.clientWidth`); got != "0" {
			t.Errorf("at %d px the page is %s px too wide", width, got)
		}
	}
	tb.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true})
	const contrast = `(() => {
		const lum = (c) => { const [r, g, b] = c.match(/[0-9a-f]{2}/gi).map(x => parseInt(x, 16) / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
		const bad = [];
		for (const theme of ['light', 'dark']) {
			document.documentElement.dataset.theme = theme;
			const v = (n) => getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim().replace(/^#(.)(.)(.)$/, '#$1$1$2$2$3$3');
			const check = (a, b, want) => { const [x, y] = [lum(v(a)), lum(v(b))].sort((p, q) => q - p); const c = (x + .05) / (y + .05); if (c < want) bad.push(theme + ' ' + a + ' on ' + b + ' ' + c.toFixed(2)); };
			for (const [a, b] of [['ink', 'bg'], ['ink', 'card'], ['muted', 'bg'], ['muted', 'card'], ['muted', 'soft'], ['link', 'card'], ['link', 'bg'], ['brand-ink', 'brand'], ['sim', 'sim-bg'], ['sim', 'sim-stripe'],
				['level1', 'level1-bg'], ['level2', 'level2-bg'], ['level3', 'level3-bg'], ['normal', 'normal-bg'], ['silent', 'silent-bg'], ['failed', 'failed-bg'], ['suspect', 'suspect-bg'], ['ink', 'level1-bg'], ['ink', 'level2-bg'], ['card', 'link'], ['level2', 'card'], ['normal', 'card']]) check(a, b, 4.5);
			for (const a of ['line0', 'line1', 'line2', 'line3', 'line4', 'line5', 'forecast', 'level2-line', 'level3-line', 'suspect']) check(a, 'card', 3);
		}
		document.documentElement.dataset.theme = 'light';
		return bad.join('; ') })()`
	if bad := tb.eval(contrast); bad != "" {
		t.Errorf("too little contrast: %s", bad)
	}
	if bad := tb.eval(`[...document.querySelectorAll('input, select, button, a')].filter(e => e.offsetParent && !(e.getAttribute('aria-label') || e.innerText.trim() || e.closest('label')?.innerText.trim() || e.title)).map(e => e.outerHTML.slice(0, 80)).join('\n')`); bad != "" {
		t.Errorf("nameless to a screen reader:\n%s", bad)
	}
}

func (t *tab) key(name string, code int) {
	for _, kind := range []string{"keyDown", "keyUp"} {
		p := map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code}
		if name == "Enter" && kind == "keyDown" {
			p["text"] = "\r"
		}
		t.do("Input.dispatchKeyEvent", p)
	}
}

// linksOfMessages opens the links to a station that messages carry, that of the
// first versions too.
func linksOfMessages(t *testing.T, tb *tab, base string) {
	for _, link := range []string{quantrac.StationLink(base, "tram-chim"), base + "/?station=tram-chim"} {
		tb.do("Page.navigate", map[string]any{"url": "about:blank"}) // to load the page anew, as from a message
		tb.until("an empty page", `location.href === 'about:blank'`)
		tb.open(link)
		tb.until(link, `document.querySelector('main h1')?.innerText.includes('Tràm Chim') === true`)
		if got := tb.eval(`location.pathname + location.search + location.hash`); got != "/#/station/tram-chim" {
			t.Errorf("%s: the page stands at %s", link, got)
		}
	}
	tb.open(base + "/")
	tb.until("the list", `document.querySelectorAll('.station').length === 31`)
}

func stationByKeyboard(t *testing.T, tb *tab) {
	tb.eval(`document.querySelector('#stations').focus()`)
	tb.key("Tab", 9)
	if got := tb.eval(`document.activeElement.className`); !strings.Contains(got, "station") {
		t.Fatalf("after Tab the focus is on %q, want the first station", got)
	}
	tb.key("Tab", 9)
	tb.key("Enter", 13)
	tb.until("the station's page", `location.hash === '#/station/tan-quoi' && document.activeElement.tagName === 'H1'`)
	tb.until("its chart", `!!document.querySelector('.chart canvas')`)
	for what, want := range map[string]string{
		`document.querySelector('.chart').getAttribute('aria-label')`:                                        "Thấp nhất",
		`document.querySelector('.now').innerText`:                                                           "vượt ngưỡng theo dõi II 0,14 m",
		`document.querySelector('.now .trend').innerText`:                                                    "đang lên",
		`document.body.innerText`:                                                                            "Có dự báo tham khảo cho cán bộ đã đăng nhập.",
		`(() => { const d = document.querySelector('details.table'); d.open = true; return d.innerText })()`: "03:10 07/10/2026",
		`document.querySelector('[download]').getAttribute('href')`:                                          "/series.csv?",
	} {
		if got := tb.eval(what); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", what, got, want)
		}
	}
	if got := tb.eval(`document.querySelector('.forecast') === null`); got != "true" {
		t.Error("the public sees a forecast")
	}
	watchLevelsOnly(t, tb)
}

// watchLevelsOnly looks for the word of official levels on the page of a station
// that has none, where it would mislead even in a denial.
func watchLevelsOnly(t *testing.T, tb *tab) {
	for _, lang := range []struct{ tag, own, official string }{{"vi", "ngưỡng theo dõi", "báo động"}, {"en", "watch level", "alarm"}} {
		if tb.eval(`document.documentElement.lang`) != lang.tag {
			tb.eval(`document.querySelector('.top button').click()`)
			tb.until(lang.tag, fmt.Sprintf(`document.documentElement.lang === %q`, lang.tag))
		}
		text := strings.ToLower(tb.eval(`document.querySelector('main').textContent`))
		if strings.Contains(text, lang.official) || !strings.Contains(text, lang.own) {
			t.Errorf("of watch levels the page says: %s", text)
		}
	}
	tb.eval(`document.querySelector('.top button').click()`)
	tb.until("Vietnamese again", `document.documentElement.lang === 'vi'`)
}

func mapShowsAll(t *testing.T, tb *tab) {
	tb.eval(`location.hash = '#/map'`)
	tb.until("all placed stations", `document.querySelectorAll('.pin').length === 30`)
	if got := tb.eval(`[...document.querySelectorAll('.pin')].map(p => p.getAttribute('aria-label')).find(s => s.startsWith('Tân Quới'))`); got != "Tân Quới: Trên ngưỡng theo dõi II, 2,71 m (MÔ PHỎNG)" {
		t.Errorf("a pin says %q", got)
	}
	if got := tb.eval(`document.querySelectorAll('path.outline').length`); got != "3" {
		t.Errorf("%s layers of outline, want province, districts, communes", got)
	}
	tb.until("the one without a place is named", `document.querySelector('.mapview').innerText.includes('1 trạm chưa có tọa độ')`)
	tb.eval(`[...document.querySelectorAll('.pin')].find(p => p.getAttribute('aria-label').startsWith('Tràm Chim')).click()`)
	tb.until("a tap opens the station", `location.hash === '#/station/tram-chim'`)
}

func signInAndOut(t *testing.T, tb *tab) {
	tb.eval(`location.hash = '#/sign-in'`)
	tb.until("the form", `!!document.querySelector('form.signin') && document.activeElement.name === 'name'`)
	enter := func(password string) {
		tb.eval(fmt.Sprintf(`document.querySelector('[name=name]').value = 'can-bo'; document.querySelector('[name=password]').value = %q; document.querySelector('form.signin').requestSubmit()`, password))
	}
	enter("khác")
	tb.until("a refusal in words", `document.querySelector('.error')?.innerText === 'Sai tên đăng nhập hoặc mật khẩu.'`)
	tb.mu.Lock()
	tb.faults = nil // the browser logs the 401
	tb.mu.Unlock()
	enter("mat-khau")
	tb.until("signed in", `location.hash === '#/' && !!document.querySelector('[aria-label="Đăng xuất"]')`)
	tb.eval(`location.hash = '#/station/tan-quoi'`)
	tb.until("the forecast for staff", `document.querySelector('.forecast')?.innerText.includes('Khả năng đạt ngưỡng theo dõi III')`)
	tb.eval(`document.querySelector('[aria-label="Đăng xuất"]').click()`)
	tb.until("signed out", `!!document.querySelector('[aria-label="Đăng nhập"]') && !document.querySelector('.forecast')`)
}

// TestBrowserStaffOnly: whoever is not signed in gets the form and nothing else,
// and again once he has signed out.
func TestBrowserStaffOnly(t *testing.T) {
	b := newBrowser(t)
	p, _ := runPage(t, newNetwork(), Options{SignIn: true, StaffOnly: true}, quantrac.Principal{})
	srv := serve(t, signInFake(p, nil))
	tb := b.tab(390, 844, "light")
	tb.open(srv.URL + "/")
	const form = `!!document.querySelector('form.signin') && document.querySelector('main').innerText.includes('chỉ dành cho cán bộ') && !document.querySelector('.station')`
	tb.until("the form", form)
	tb.eval(`document.querySelector('[name=name]').value = 'can-bo'; document.querySelector('[name=password]').value = 'mat-khau'; document.querySelector('form.signin').requestSubmit()`)
	tb.until("the stations", `document.querySelectorAll('.station').length === 31`)
	tb.eval(`document.querySelector('[aria-label="Đăng xuất"]').click()`)
	tb.until("the form again", form)
	tb.shot("phone-light-staff-only")
}
