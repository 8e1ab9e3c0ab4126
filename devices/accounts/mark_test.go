package accounts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"quantrac"
	"quantrac/internal/audit"
)

// Whatever strangers try, from wherever, an officer gets in from a browser or an
// address that has signed in before.
func TestStrangersLockNobodyOut(t *testing.T) {
	b := open(t)
	b.setUp()
	const office = "192.0.2.1"
	signIn := func(addr, mark string) error {
		_, _, err := b.store.Login(from(addr), "lan", good, mark)
		return err
	}
	guess := func(addr, name string) {
		if _, _, err := b.store.Login(from(addr), name, "wrong", ""); err == nil {
			t.Fatal("a wrong password passes")
		}
	}
	b.must(signIn(office, ""))
	mark := b.store.Mark("lan", "")
	b.clock.Advance(forgetAfter)

	for i := range 100 { // made-up names from the office's own address
		guess(office, fmt.Sprint("name", i))
	}
	if err := signIn(office, ""); err != nil {
		t.Errorf("from the office, after made-up names: %v", err)
	}
	for i := range 1000 { // the officer's name, from everywhere
		guess(fmt.Sprintf("2001:db8:%x::1", i), "lan")
	}
	if err := signIn(office, ""); err != nil {
		t.Errorf("from the office, after guesses from everywhere: %v", err)
	}
	if err := signIn("198.51.100.7", mark); err != nil {
		t.Errorf("from a browser that is known, anywhere: %v", err)
	}
	var wait *WaitError
	if err := signIn("198.51.100.8", ""); !errors.As(err, &wait) || wait.After > sharedBlock {
		t.Errorf("from nowhere known: %v, want a wait of at most %s", err, sharedBlock)
	}
	for range 10 { // the officer's name, from the office's address
		guess(office, "lan")
	}
	if err := signIn(office, ""); quantrac.KindOf(err) != quantrac.Busy {
		t.Errorf("guesses at one name from one address are let through: %v", err)
	}
	b.must(signIn(office, mark))
}

// A mark is good for the names that have signed in there, as long as their
// passwords are the same, and it slows down whoever has stolen it.
func TestMark(t *testing.T) {
	b := open(t)
	b.setUp()
	b.must(b.store.PutAccount(asAdmin(), Account{Name: "hoa", Role: quantrac.RoleViewer}))
	b.must(b.store.SetPassword(asAdmin(), "hoa", good))
	one := b.store.Mark("lan", "")
	both := b.store.Mark("hoa", one)
	f := func(name, mark string, want bool) {
		t.Helper()
		if got := b.store.knows(name, mark) != ""; got != want {
			t.Errorf("%s knows %q: %v, want %v", name, mark, got, want)
		}
	}
	f("lan", one, true)
	f("hoa", one, false)
	f("lan", both, true)
	f("hoa", both, true)
	f("nobody", both, false)
	for _, bad := range []string{"", "x", one + "x", strings.ToLower(one), "A" + one[1:], one[:len(one)-22] + strings.Repeat("A", 22), strings.Repeat(one, 1000)} {
		if bad != one {
			f("lan", bad, false)
		}
	}
	if again := b.store.Mark("lan", both); len(again) != len(both) || again[:26] != both[:26] {
		t.Errorf("signing in again makes %q of %q", again, both)
	}
	b.reopen()
	f("lan", both, true)
	b.must(b.store.SetPassword(asAdmin(), "lan", "năm con bò vàng"))
	f("lan", both, false)
	f("hoa", both, true)
	n := 0
	for range 100 {
		if _, _, err := b.store.Login(from("192.0.2.1"), "hoa", "wrong", both); quantrac.KindOf(err) == quantrac.Denied {
			n++
		}
	}
	if n != markLimit {
		t.Errorf("%d guesses heard from a browser that is known, want %d", n, markLimit)
	}
	mark := ""
	for i := range 2 * maxMarks {
		b.must(b.store.PutAccount(asAdmin(), Account{Name: fmt.Sprint("n", i), Role: quantrac.RoleViewer}))
		mark = b.store.Mark(fmt.Sprint("n", i), mark)
	}
	if n := strings.Count(mark, "."); n != maxMarks {
		t.Errorf("a mark of %d names", n)
	}
}

// Hashing takes turns; those who are known do not wait for strangers, and a
// stranger who has not been heard has not failed.
func TestStrangersWaitByThemselves(t *testing.T) {
	b := open(t)
	b.setUp()
	mark := b.store.Mark("lan", "")
	for range cap(b.store.hashing.strangers) {
		b.store.hashing.strangers <- struct{}{}
	}
	gone, cancel := context.WithCancel(from("192.0.2.9"))
	cancel()
	for range 2 * pairLimit {
		if _, _, err := b.store.Login(gone, "lan", good, ""); !errors.Is(err, context.Canceled) {
			t.Fatalf("a stranger is heard, or has failed: %v", err)
		}
	}
	if _, _, err := b.store.Login(from("192.0.2.9"), "lan", good, mark); err != nil {
		t.Errorf("who is known waits for strangers: %v", err)
	}
}

func TestParseProxies(t *testing.T) {
	got, err := ParseProxies([]string{"10.0.0.7", "::1", "10.1.2.3/16", "fd00::/8", "::ffff:192.0.2.1"})
	if err != nil || fmt.Sprint(got) != "[10.0.0.7/32 ::1/128 10.1.0.0/16 fd00::/8 192.0.2.1/32]" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "proxy.example", "10.0.0.0/40", "fe80::1%eth0"} {
		if _, err := ParseProxies([]string{bad}); quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), "10.0.0.0/24") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Behind a proxy that is believed, each client is counted and written down by
// its own address, and cookies go back over TLS alone.
func TestBehindAProxy(t *testing.T) {
	b := open(t)
	b.setUp()
	proxies, err := ParseProxies([]string{"127.0.0.1"})
	b.must(err)
	serve := func(o HandlerOptions, proxies []netip.Prefix, forwarded, proto, name, password string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://localhost/api/auth/login", strings.NewReader(fmt.Sprintf(`{"name":%q,"password":%q}`, name, password)))
		r.RemoteAddr = "127.0.0.1:50000"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", forwarded)
		r.Header.Set("X-Forwarded-Proto", proto)
		w := httptest.NewRecorder()
		b.store.Guard(GuardOptions{Proxies: proxies}, b.store.Handler(o)).ServeHTTP(w, r)
		return w
	}
	for i := range 2 * addrLimit { // the stranger writes what they like before what the proxy writes
		serve(HandlerOptions{}, proxies, fmt.Sprintf("203.0.113.%d, 198.51.100.66", i), "https", fmt.Sprint("x", i), "wrong")
	}
	if w := serve(HandlerOptions{}, proxies, "198.51.100.66", "https", "lan", good); w.Code != http.StatusTooManyRequests {
		t.Errorf("the stranger's address is not held up: %d %s", w.Code, w.Body)
	}
	cookies := func(w *httptest.ResponseRecorder, secure bool) {
		t.Helper()
		got := w.Result().Cookies()
		if w.Code != http.StatusOK || len(got) != 2 || slices.ContainsFunc(got, func(c *http.Cookie) bool { return c.Secure != secure || !c.HttpOnly }) {
			t.Errorf("%d %s with cookies %v, want two with Secure %v", w.Code, w.Body, got, secure)
		}
	}
	cookies(serve(HandlerOptions{}, proxies, "203.0.113.5", "https", "lan", good), true)
	cookies(serve(HandlerOptions{}, proxies, "203.0.113.5", "http", "lan", good), false)
	cookies(serve(HandlerOptions{}, nil, "203.0.113.6", "https", "lan", good), false) // not believed
	cookies(serve(HandlerOptions{Secure: true}, nil, "", "", "lan", good), true)
	list, err := b.audit.List(asAdmin(), audit.Filter{Action: "login"})
	if err != nil || len(list) < 4 || list[3].Origin != "203.0.113.5" || list[1].Origin != "127.0.0.1" {
		t.Errorf("sign-ins written down: %+v, %v", list, err)
	}
}
