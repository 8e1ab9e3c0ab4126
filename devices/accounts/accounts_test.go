package accounts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
)

const t0 = quantrac.Millis(1785542400000)

// cheap makes the tests quick; the cost is in the hash, so that nothing else
// depends on it.
var cheap = Cost{MemoryKiB: 64, Passes: 1}

const good = "ba con vịt xiêm" // a password that fits

type bench struct {
	testing.TB
	fs      *vfs.Mem
	clock   *quantrac.ManualClock
	journal *journal.Journal
	audit   *audit.Log
	store   *Store
	path    string
}

func open(t testing.TB) *bench {
	t.Helper()
	b := &bench{TB: t, fs: vfs.NewMem(), clock: quantrac.NewManualClock(t0), path: filepath.Join(t.TempDir(), "accounts.db")}
	b.reopen()
	return b
}

// reopen starts the service again on what is on the disk.
func (b *bench) reopen() {
	b.Helper()
	b.close()
	var err error
	if b.journal, err = journal.Open(b.fs, "journal", journal.Options{Clock: b.clock, ReserveBytes: -1}); err != nil {
		b.Fatal(err)
	}
	if b.audit, err = audit.Open(projection.Memory, b.journal, audit.Options{Clock: b.clock}); err != nil {
		b.Fatal(err)
	}
	if b.store, err = Open(b.path, b.journal, Options{Clock: b.clock, Audit: b.audit, Cost: cheap}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(b.close)
}

func (b *bench) close() {
	if b.store != nil {
		b.store.Close()
		b.audit.Close()
		b.journal.Close()
	}
}

func from(addr string) context.Context { return audit.WithOrigin(context.Background(), addr) }

func asAdmin() context.Context {
	return quantrac.WithPrincipal(from("::1"), quantrac.Principal{Name: "lan", Role: quantrac.RoleAdmin})
}

// setUp makes the administrator "lan".
func (b *bench) setUp() {
	b.Helper()
	code, _ := b.store.SetupCode()
	if _, _, err := b.store.Setup(from("::1"), code, "lan", good); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) login(name, password string) string {
	b.Helper()
	secret, _, err := b.store.Login(from("::1"), name, password, "")
	if err != nil {
		b.Fatal(err)
	}
	return secret
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) refused(kind quantrac.ErrorKind, text string, err error) {
	b.Helper()
	if quantrac.KindOf(err) != kind || !strings.Contains(fmt.Sprint(err), text) {
		b.Errorf("got %v (%s), want %s with %q", err, quantrac.KindOf(err), kind, text)
	}
}

func TestSetup(t *testing.T) {
	b := open(t)
	_, _, err := b.store.Setup(from("::1"), "", "lan", good)
	b.refused(quantrac.Denied, "setup code", err)
	code, expires := b.store.SetupCode()
	if len(code) != 23 || expires != t0.Add(time.Hour) || !b.store.NeedsSetup() {
		t.Fatalf("code %q until %s", code, expires)
	}
	_, _, err = b.store.Setup(from("::1"), "AAAAA-AAAAA-AAAAA-AAAAA", "lan", good)
	b.refused(quantrac.Denied, "setup code", err)
	_, _, err = b.store.Setup(from("::1"), code, "lan", "short")
	b.refused(quantrac.Invalid, "at least 12 characters", err)
	_, _, err = b.store.Setup(from("::1"), code, "Lan Nguyễn", good)
	b.refused(quantrac.Invalid, "account name", err)
	b.clock.Advance(time.Hour)
	_, _, err = b.store.Setup(from("::1"), code, "lan", good)
	b.refused(quantrac.Denied, "expired", err)

	code, _ = b.store.SetupCode()
	typed := strings.ToLower(strings.ReplaceAll(code, "-", " ")) // as people type
	secret, a, err := b.store.Setup(from("::1"), typed, " LAN ", good)
	if err != nil || a.Role != quantrac.RoleAdmin || a.Name != "lan" {
		t.Fatalf("account = %+v, %v", a, err)
	}
	if p, ok := b.store.Session(secret); !ok || p.Name != "lan" || p.Stations != nil {
		t.Errorf("session = %+v, %v", p, ok)
	}
	_, _, err = b.store.Setup(from("::1"), code, "eve", good)
	b.refused(quantrac.Conflict, "has been set up", err)
	if code, _ := b.store.SetupCode(); code != "" || b.store.NeedsSetup() {
		t.Error("a service with an account gives out a setup code")
	}
}

// A hundred who have the code make one account.
func TestSetupOnce(t *testing.T) {
	b := open(t)
	code, _ := b.store.SetupCode()
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 20 {
		wg.Go(func() {
			if _, _, err := b.store.Setup(from(fmt.Sprintf("2001:db8:%x::1", i)), code, fmt.Sprint("admin", i), good); err == nil {
				mu.Lock()
				made++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if made != 1 || len(b.store.Accounts()) != 1 {
		t.Errorf("%d set up, %d accounts", made, len(b.store.Accounts()))
	}
}

func TestLogin(t *testing.T) {
	b := open(t)
	b.setUp()
	for _, c := range []struct{ name, password string }{{"lan", "wrong"}, {"nobody", good}, {"", ""}, {"lan", strings.Repeat("x", 10_000)}} {
		_, _, err := b.store.Login(from("::1"), c.name, c.password, "")
		b.refused(quantrac.Denied, "the name or the password is wrong", err)
	}
	secret := b.login(" Lan", good)
	if _, ok := b.store.Session(secret); !ok {
		t.Fatal("no session")
	}
	for _, bad := range []string{"", "x", secret + "x", secret[1:]} {
		if _, ok := b.store.Session(bad); ok {
			t.Errorf("%q is a session", bad)
		}
	}
	// An account without a password cannot sign in, with none.
	b.must(b.store.PutAccount(asAdmin(), Account{Name: "hoa", Role: quantrac.RoleViewer}))
	_, _, err := b.store.Login(from("::1"), "hoa", "", "")
	b.refused(quantrac.Denied, "wrong", err)

	list, err := b.audit.List(asAdmin(), audit.Filter{Action: "login.failed"})
	if err != nil || len(list) != 5 || list[0].Object != "hoa" || list[0].Origin != "::1" {
		t.Errorf("failed sign-ins = %+v, %v", list, err)
	}
	if _, err := b.audit.Verify(asAdmin()); err != nil {
		t.Error(err)
	}
	// Secrets are kept nowhere.
	var all []byte
	err = b.journal.Replay(asAdmin(), 0, func(e journal.Entry) error {
		all = append(all, e.Data...)
		return nil
	})
	if err != nil || bytes.Contains(all, []byte(secret)) || bytes.Contains(all, []byte(good)) {
		t.Errorf("a secret is in the journal (%v)", err)
	}
}

func TestSessionsSlideAndEnd(t *testing.T) {
	b := open(t)
	b.setUp()
	secret := b.login("lan", good)
	in := func() bool { _, ok := b.store.Session(secret); return ok }
	use := func() bool {
		b.store.touch(context.Background(), secret)
		return in()
	}
	before := b.journal.Last()
	if use(); b.journal.Last() != before {
		t.Error("a session just begun was renewed")
	}
	for range 13 { // 6.5 days of a page left open
		b.clock.Advance(11 * time.Hour)
		b.clock.Advance(30 * time.Minute)
		if !use() {
			t.Fatal("a session in use ended")
		}
		b.reopen() // a restart does not end it
	}
	b.clock.Advance(11 * time.Hour)
	use()
	b.clock.Advance(11 * time.Hour)
	if use() {
		t.Error("a session outlived SessionMax")
	}
	secret = b.login("lan", good)
	b.clock.Advance(12*time.Hour - time.Millisecond)
	if !in() {
		t.Error("an idle session ended early")
	}
	b.clock.Advance(time.Millisecond)
	if in() {
		t.Error("an idle session did not end")
	}
	secret = b.login("lan", good) // sweeps what has ended
	var rows int
	if err := b.store.proj.SQL().QueryRow(`SELECT count(*) FROM session`).Scan(&rows); err != nil || rows != 1 || len(b.store.sessions) != 1 {
		t.Errorf("%d sessions in the table, %d in memory, %v, want 1", rows, len(b.store.sessions), err)
	}
	b.must(b.store.Logout(context.Background(), secret))
	if in() {
		t.Error("signed out, and still in")
	}
	b.must(b.store.Logout(context.Background(), secret))
}

func TestPasswords(t *testing.T) {
	b := open(t)
	b.setUp()
	old := b.login("lan", good)
	_, err := b.store.ChangePassword(from("::1"), "lan", "not it at all", "bốn con gà trống")
	b.refused(quantrac.Denied, "wrong", err)
	_, err = b.store.ChangePassword(asAdmin(), "lan", good, "lan lan lan lan")
	b.refused(quantrac.Invalid, "account's name", err)
	secret, err := b.store.ChangePassword(asAdmin(), "lan", good, "bốn con gà trống")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := b.store.Session(old); ok {
		t.Error("a session outlived the password")
	}
	if _, ok := b.store.Session(secret); !ok {
		t.Error("who changed the password is signed out")
	}
	_, _, err = b.store.Login(from("::1"), "lan", good, "")
	b.refused(quantrac.Denied, "wrong", err)

	// The cost goes up: the next sign-in hashes again, and nobody is put out.
	b.store.o.Cost = Cost{MemoryKiB: 128, Passes: 2}
	b.login("lan", "bốn con gà trống")
	if hash := b.store.accounts["lan"].password; !strings.HasPrefix(hash, "$argon2id$v=19$m=128,t=2,p=1$") {
		t.Errorf("hash = %s", hash)
	}
	if _, ok := b.store.Session(secret); !ok {
		t.Error("hashing again ended a session")
	}
	b.login("lan", "bốn con gà trống")

	f := func(password, want string) {
		t.Helper()
		err := fitPassword("lan@dongthap.gov.vn", password)
		if (err == nil) != (want == "") || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %v, want %q", password, err, want)
		}
	}
	ok := func(password string) {
		t.Helper()
		if err := fitPassword("lan@dongthap.gov.vn", password); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
	ok(good)
	ok("correct horse battery staple")
	ok("mưa rào tháng bảy")
	f("mưa rào", "at least 12")
	f(strings.Repeat("dài ", 100), "at most 256")
	f("aaaaaaaaaaaaaaaa", "too few")
	f("password1234", `little more than "password"`)
	f("123456123456!", `little more than "123456"`)
	f("my name is lan ok", "account's name")
	f("\xff\xfe\xfd\xfc\xfb\xfa12345678", "UTF-8")
}

func TestAccounts(t *testing.T) {
	b := open(t)
	b.setUp()
	ctx := asAdmin()
	b.must(b.store.PutAccount(ctx, Account{Name: "Hoa@DongThap.gov.vn", Role: quantrac.RoleHydrologist, Stations: []string{"tan_quoi"}}))
	b.must(b.store.SetPassword(ctx, "hoa@dongthap.gov.vn", good))
	secret := b.login("hoa@dongthap.gov.vn", good)
	p, _ := b.store.Session(secret)
	if p.Role != quantrac.RoleHydrologist || !slices.Equal(p.Stations, []string{"tan_quoi"}) {
		t.Errorf("principal = %+v", p)
	}
	list := b.store.Accounts()
	hoa := list[0]
	hoa.Role = quantrac.RoleViewer
	b.must(b.store.PutAccount(ctx, hoa))
	if p, _ := b.store.Session(secret); p.Role != quantrac.RoleViewer {
		t.Error("a change of role waits for the next sign-in")
	}
	b.refused(quantrac.Conflict, "changed meanwhile", b.store.PutAccount(ctx, hoa))
	hoa.Revision, hoa.Disabled = 0, true
	b.must(b.store.PutAccount(ctx, hoa))
	if _, ok := b.store.Session(secret); ok {
		t.Error("a disabled account is still in")
	}
	_, _, err := b.store.Login(from("::1"), hoa.Name, good, "")
	b.refused(quantrac.Denied, "wrong", err)

	lan := Account{Name: "lan", Role: quantrac.RoleViewer}
	b.refused(quantrac.Conflict, "last administrator", b.store.PutAccount(ctx, lan))
	lan.Role, lan.Disabled = quantrac.RoleAdmin, true
	b.refused(quantrac.Conflict, "last administrator", b.store.PutAccount(ctx, lan))
	// Another administrator counts once it can sign in.
	b.must(b.store.PutAccount(ctx, Account{Name: "minh", Role: quantrac.RoleAdmin}))
	b.refused(quantrac.Conflict, "last administrator", b.store.PutAccount(ctx, lan))
	b.must(b.store.SetPassword(ctx, "minh", good))
	b.must(b.store.PutAccount(ctx, lan))

	b.refused(quantrac.Invalid, "role", b.store.PutAccount(ctx, Account{Name: "x", Role: "king"}))
	b.refused(quantrac.Invalid, "role", b.store.PutAccount(ctx, Account{Name: "x", Role: quantrac.RoleDevice}))
	b.refused(quantrac.Invalid, "station", b.store.PutAccount(ctx, Account{Name: "x", Role: quantrac.RoleViewer, Stations: []string{"a/b"}}))
	b.refused(quantrac.NotFound, "no account", b.store.SetPassword(ctx, "ghost", good))
	b.refused(quantrac.Denied, "nobody is named", b.store.PutAccount(context.Background(), Account{Name: "x", Role: quantrac.RoleViewer}))
}

func TestTokens(t *testing.T) {
	b := open(t)
	b.setUp()
	secret, tok, err := b.store.NewToken(asAdmin(), Token{Name: "telegraf", Role: quantrac.RoleDevice, Stations: []string{"a"}, Expires: t0.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	f := func(secret string, want bool) {
		t.Helper()
		p, ok := b.store.Authenticate(secret)
		if ok != want || ok && (p.Role != quantrac.RoleDevice || p.Staff() || p.Name != "token telegraf") {
			t.Errorf("Authenticate = %+v, %v, want %v", p, ok, want)
		}
	}
	f(secret, true)
	f(strings.TrimPrefix(secret, tokenPrefix), false)
	f(secret+"x", false)
	b.reopen()
	f(secret, true)
	b.clock.Advance(time.Hour)
	f(secret, false)
	secret, tok, err = b.store.NewToken(asAdmin(), Token{Name: "telegraf", Role: quantrac.RoleDevice})
	if err != nil {
		t.Fatal(err)
	}
	f(secret, true)
	b.must(b.store.RevokeToken(asAdmin(), tok.ID))
	f(secret, false)
	b.refused(quantrac.NotFound, "no token", b.store.RevokeToken(asAdmin(), tok.ID))
	_, _, err = b.store.NewToken(asAdmin(), Token{Role: quantrac.RoleViewer})
	b.refused(quantrac.Invalid, "name", err)
	_, _, err = b.store.NewToken(asAdmin(), Token{Name: "x", Role: quantrac.RoleViewer, Expires: t0})
	b.refused(quantrac.Invalid, "not past", err)
}

// Tables and memory made from the journal alone are those that grew with it.
func TestRebuildEqualsLive(t *testing.T) {
	b := open(t)
	b.setUp()
	b.must(b.store.PutAccount(asAdmin(), Account{Name: "hoa", Display: "Hoa", Role: quantrac.RoleViewer, Stations: []string{}}))
	b.must(b.store.SetPassword(asAdmin(), "hoa", good))
	ended := b.login("hoa", good)
	b.login("lan", good)
	b.must(b.store.Logout(context.Background(), ended))
	b.clock.Advance(6 * time.Hour)
	kept := b.login("hoa", good)
	b.clock.Advance(6 * time.Hour)
	b.store.touch(context.Background(), kept)
	_, tok, err := b.store.NewToken(asAdmin(), Token{Name: "a", Role: quantrac.RoleViewer})
	b.must(err)
	_, _, err = b.store.NewToken(asAdmin(), Token{Name: "b", Role: quantrac.RoleViewer, Stations: []string{"x"}})
	b.must(err)
	b.must(b.store.RevokeToken(asAdmin(), tok.ID))

	want := dump(b.store)
	rebuilt, err := Open(projection.Memory, b.journal, Options{Clock: b.clock, Cost: cheap})
	b.must(err)
	defer rebuilt.Close()
	if got := dump(rebuilt); got != want {
		t.Errorf("rebuilt:\n%s\nlive:\n%s", got, want)
	}
	b.reopen() // loads the tables
	if got := dump(b.store); got != want {
		t.Errorf("loaded:\n%s\nlive:\n%s", got, want)
	}
}

func dump(s *Store) string {
	var lines []string
	for _, a := range s.accounts {
		data, _ := json.Marshal(a.Account)
		lines = append(lines, fmt.Sprintf("%s %s %d", data, a.password, a.signedOut))
	}
	for h, x := range s.sessions {
		lines = append(lines, fmt.Sprintf("%x %+v", h, *x))
	}
	for h, x := range s.tokens {
		data, _ := json.Marshal(x)
		lines = append(lines, fmt.Sprintf("%x %s", h, data))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// A crash after the journal's sync and before the tables' commit.
func TestCrashBetweenJournalAndTables(t *testing.T) {
	b := open(t)
	b.setUp()
	other, err := Open(projection.Memory, b.journal, Options{Clock: b.clock, Cost: cheap})
	b.must(err)
	b.store.Close()
	secret, _, err := other.Login(from("::1"), "lan", good, "") // never reaches the file
	b.must(err)
	other.Close()
	b.fs = b.fs.Crash(1)
	b.reopen()
	if _, ok := b.store.Session(secret); !ok {
		t.Error("an acknowledged session is gone")
	}
}

func TestManyAtOnce(t *testing.T) {
	b := open(t)
	b.setUp()
	ctx, cancel := context.WithCancel(context.Background())
	run := make(chan error, 2)
	go func() { run <- b.store.Run(ctx) }()
	go func() { run <- b.audit.Run(ctx) }()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			addr := from(fmt.Sprintf("2001:db8:0:%x::1", i))
			for range 5 {
				secret, _, err := b.store.Login(addr, "lan", good, "")
				if err != nil {
					t.Error(err)
					return
				}
				if _, ok := b.store.Session(secret); !ok {
					t.Error("no session after signing in")
				}
				if err := b.store.Logout(addr, secret); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cancel()
	for range 2 {
		if err := <-run; err != nil {
			t.Error(err)
		}
	}
}

func TestGuessingIsSlow(t *testing.T) {
	b := open(t)
	b.setUp()
	wrong := func(addr, name string) time.Duration {
		t.Helper()
		_, _, err := b.store.Login(from(addr), name, "wrong", "")
		var w *WaitError
		if errors.As(err, &w) {
			if quantrac.KindOf(err) != quantrac.Busy {
				t.Errorf("kind = %s", quantrac.KindOf(err))
			}
			return w.After
		}
		return 0
	}
	for range 5 {
		if w := wrong("192.0.2.1", "lan"); w != 0 {
			t.Fatalf("refused unheard after fewer than five failures: %s", w)
		}
	}
	if w := wrong("192.0.2.1", "lan"); w != firstBlock {
		t.Errorf("wait = %s, want %s", w, firstBlock)
	}
	// The right password waits too, or guessing would go on; another address
	// of the same name does not.
	if _, _, err := b.store.Login(from("192.0.2.1"), "lan", good, ""); quantrac.KindOf(err) != quantrac.Busy {
		t.Errorf("err = %v", err)
	}
	if _, _, err := b.store.Login(from("192.0.2.2"), "lan", good, ""); err != nil {
		t.Errorf("the owner is locked out by a stranger: %v", err)
	}
	b.clock.Advance(firstBlock)
	wrong("192.0.2.1", "lan")
	if w := wrong("192.0.2.1", "lan"); w != 2*firstBlock {
		t.Errorf("wait = %s, want %s", w, 2*firstBlock)
	}
	for range 40 {
		b.clock.Advance(longestBlock)
		wrong("192.0.2.1", "lan")
	}
	if w := wrong("192.0.2.1", "lan"); w != longestBlock {
		t.Errorf("wait = %s, want %s", w, longestBlock)
	}
	b.clock.Advance(longestBlock)
	if _, _, err := b.store.Login(from("192.0.2.1"), "lan", good, ""); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	// One household of IPv6 addresses, many names.
	n := 0
	for i := range 100 {
		if wrong(fmt.Sprintf("2001:db8::%x", i+1), fmt.Sprint("name", i)) == 0 {
			n++
		}
	}
	if n != addrLimit {
		t.Errorf("%d tries let through from one /64, want %d", n, addrLimit)
	}
	// Many households, one name.
	n = 0
	for i := range 100 {
		if wrong(fmt.Sprintf("2001:db8:%x::1", i+1), "victim") == 0 {
			n++
		}
	}
	if n != nameLimit {
		t.Errorf("%d tries let through at one name, want %d", n, nameLimit)
	}
}

func TestFailuresWrittenAreBounded(t *testing.T) {
	var c failureCount
	written, told := 0, 0
	for i := range 3 * maxFailures {
		at := t0
		if i == 3*maxFailures-1 {
			at = at.Add(time.Hour)
		}
		ok, before := c.next(at)
		if ok {
			written++
			told += before
		}
	}
	if written != maxFailures+1 || told != 2*maxFailures-1 {
		t.Errorf("%d written, %d told of, want %d and %d", written, told, maxFailures+1, 2*maxFailures-1)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	clock := quantrac.NewManualClock(t0)
	l := newLimiter(clock)
	for i := range 3 * maxCounts {
		l.begin(fmt.Sprint(i), fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "")
	}
	if n := len(l.counts); n > maxCounts+3 {
		t.Errorf("%d counts are kept", n)
	}
}

func TestHashForm(t *testing.T) {
	h := hashPassword(good, cheap)
	if ok, outdated := checkPassword(good, h, cheap); !ok || outdated {
		t.Errorf("own hash: %v, %v", ok, outdated)
	}
	if ok, outdated := checkPassword(good, h, DefaultCost); !ok || !outdated {
		t.Errorf("cheaper hash: %v, %v", ok, outdated)
	}
	if h == hashPassword(good, cheap) {
		t.Error("two hashes of one password are the same")
	}
	for _, bad := range []string{"", "x", "$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAA$AAAA", strings.Replace(h, "m=64", "m=4294967295", 1), strings.Replace(h, "t=1", "t=0", 1), h + "$", h[:len(h)-4]} {
		if ok, _ := checkPassword(good, bad, cheap); ok {
			t.Errorf("%q passes", bad)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(hashPassword(good, cheap))
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		c, salt, key, err := parseHash(s)
		if err != nil {
			return
		}
		if c.MemoryKiB > maxMemoryKiB || c.Passes > maxPasses || c.Passes == 0 {
			t.Fatalf("cost %+v", c)
		}
		c2, salt2, key2, err := parseHash(formatHash(c, salt, key))
		if err != nil || c2 != c || !bytes.Equal(salt, salt2) || !bytes.Equal(key, key2) {
			t.Fatalf("%q does not come back: %v", s, err)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	for _, e := range []edit{
		{Account: &accountEdit{Name: "a", Role: quantrac.RoleAdmin}}, {Password: &passwordEdit{Name: "a", Hash: "x"}},
		{Begin: &sessionEdit{Hash: make([]byte, 32), Account: "a"}}, {Renew: &renewEdit{Hash: make([]byte, 32)}},
		{End: make([]byte, 32)}, {Token: &tokenEdit{Token: Token{ID: "x"}, Hash: make([]byte, 32)}}, {RevokeToken: "x"},
	} {
		data, err := encodeRecord(&record{Actor: "x", Edits: []edit{e}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{1, 'R', 0, '{'})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Corrupt {
				t.Fatalf("%v is not a Corrupt error", err)
			}
			return
		}
		if r == nil {
			return
		}
		first, err := encodeRecord(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeRecord(first)
		if err != nil {
			t.Fatalf("written, but cannot be read: %v", err)
		}
		if second, err := encodeRecord(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("does not come back the same: %v", err)
		}
		s := state{accounts: map[string]*account{}, sessions: map[[32]byte]*session{}, tokens: map[[32]byte]*Token{}}
		s.take(quantrac.Commit{Number: 1}, r)
	})
}

// BenchmarkCheckPassword is what one password check costs at DefaultCost.
func BenchmarkCheckPassword(b *testing.B) {
	h := hashPassword(good, DefaultCost)
	b.ReportAllocs()
	for b.Loop() {
		if ok, _ := checkPassword(good, h, DefaultCost); !ok {
			b.Fatal("does not pass")
		}
	}
}
