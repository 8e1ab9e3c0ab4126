package accounts

import (
	"database/sql"
	"testing"

	"quantrac"
)

// Who has to mend a full disk must be able to sign in: nothing of it waits for
// the tables, which a full disk keeps behind, and it is all there when they have
// caught up.
func TestSignInWhileTheTablesAreBehind(t *testing.T) {
	b := open(t)
	b.setUp()
	other, err := sql.Open("sqlite", b.path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("BEGIN IMMEDIATE"); err != nil { // nobody else writes until it ends
		t.Fatal(err)
	}
	applied := b.store.proj.Applied()
	lan := b.login("lan", good)
	b.must(b.store.PutAccount(asAdmin(), Account{Name: "hoa", Role: quantrac.RoleViewer}))
	b.must(b.store.SetPassword(asAdmin(), "hoa", "một mật khẩu mới"))
	hoa := b.login("hoa", "một mật khẩu mới")
	gone := b.login("lan", good)
	b.must(b.store.Logout(from("::1"), gone))
	token, made, err := b.store.NewToken(asAdmin(), Token{Name: "grafana", Role: quantrac.RoleViewer})
	b.must(err)
	check := func(when string) {
		t.Helper()
		for secret, want := range map[string]bool{lan: true, hoa: true, gone: false} {
			if _, ok := b.store.Session(secret); ok != want {
				t.Errorf("%s: a session is there: %v, want %v", when, ok, want)
			}
		}
		if p, ok := b.store.Authenticate(token); !ok || p.Role != quantrac.RoleViewer {
			t.Errorf("%s: the token of %s is not known", when, made.Name)
		}
	}
	check("with the tables behind")
	if b.store.proj.Applied() != applied {
		t.Fatal("the tables were not held up")
	}
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	check("after a restart")
	if _, err := b.audit.Verify(asAdmin()); err != nil {
		t.Errorf("the chain of the audit log: %v", err)
	}
}
