package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/alertingtest"
	"quantrac/alerting/outbox"
)

func TestHandler(t *testing.T) {
	room := alertingtest.Open(t, "", alerting.Options{}, "a")
	snd := newSender(func(_ context.Context, _ string, w *quantrac.Warning) error {
		if w.Rule == alerting.RuleTest {
			return errors.New("502 from the receiver")
		}
		return nil
	})
	b := outbox.New(room.Alerting, map[string]outbox.Sender{"webhook": snd}, outbox.Options{})
	h := outbox.Handler(room.Alerting, b, "/api/alerting/subscriptions/", func(url string) error {
		if strings.Contains(url, "127.") {
			return quantrac.Errorf(quantrac.Denied, "not there")
		}
		return nil
	})
	do := func(role quantrac.Role, method, path, body string) (int, string) {
		req := httptest.NewRequest(method, "/api/alerting/subscriptions"+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req = req.WithContext(quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "an", Role: role}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec.Code, rec.Body.String()
	}
	f := func(role quantrac.Role, method, path, body string, code int, want string) string {
		t.Helper()
		got, text := do(role, method, path, body)
		if got != code || !strings.Contains(text, want) {
			t.Errorf("%s %s %s %s: %d %s, want %d %s", role, method, path, body, got, text, code, want)
		}
		return text
	}
	const admin, viewer = quantrac.RoleAdmin, quantrac.RoleViewer
	f(quantrac.RolePublic, "GET", "", "", 403, "signed-in staff")
	f(viewer, "GET", "", "", 200, `"subscriptions":[]`)
	f(viewer, "POST", "", `{"url":"https://x.example"}`, 403, "may not change")
	f(admin, "POST", "", `{"url":"https://127.0.0.1"}`, 403, "not there")
	f(admin, "POST", "", `{"url":"https://x.example","secret":"mine"}`, 400, "unknown field")
	f(admin, "POST", "", `{"url":`, 400, "unexpected EOF")
	f(admin, "POST", "", `{"url":"ftp://x"}`, 400, "not an absolute http(s) address")
	f(admin, "POST", "", `{"url":"https://x.example","audience":"world"}`, 400, "neither public nor staff")
	f(admin, "POST", "", `{"url":"https://x.example","min_level":4}`, 400, "min_level")
	f(admin, "POST", "", `"`+strings.Repeat("x", 100_000)+`"`, 400, "")
	var sub struct {
		ID, Secret string
	}
	text := f(admin, "POST", "", `{"url":"https://x.example/hook","audience":"staff","note":"e-DongThap"}`, 201, `"secret":"whsec_`)
	if err := json.Unmarshal([]byte(text), &sub); err != nil {
		t.Fatal(err)
	}
	hidden := func(text string) {
		t.Helper()
		if strings.Contains(text, "whsec_") || strings.Contains(text, strings.TrimPrefix(sub.Secret, "whsec_")) {
			t.Errorf("a secret is shown again: %s", text)
		}
	}
	hidden(f(viewer, "GET", "", "", 200, `"note":"e-DongThap"`))
	hidden(f(viewer, "GET", "/"+sub.ID, "", 200, `"https://x.example/…"`))
	hidden(f(admin, "GET", "/"+sub.ID, "", 200, `"https://x.example/hook"`))
	f(viewer, "GET", "/nothing", "", 404, "not_found")
	f(admin, "POST", "/"+sub.ID+"/test", "", 200, `"delivered":false,"error":"502 from the receiver"`)
	room.Read("a", 1.5)
	w := room.Current(context.Background(), quantrac.AudiencePublic)[0]
	f(admin, "POST", "/"+sub.ID+"/resend", `{"episode":"`+w.ID+`","revision":1}`, 200, `"delivered":true`)
	f(admin, "POST", "/"+sub.ID+"/resend", `{"episode":"`+w.ID+`","revision":9}`, 404, "no revision 9")
	if snd.list(sub.ID) != w.ID+"/1" {
		t.Errorf("sent %q", snd.list(sub.ID))
	}
	rotated := f(admin, "POST", "/"+sub.ID+"/rotate", "", 200, `"secret":"whsec_`)
	if strings.Contains(rotated, sub.Secret) {
		t.Error("rotation returned the old secret")
	}
	f(admin, "POST", "/"+sub.ID+"/rotate", `{"overlap_hours":-1}`, 400, "overlap_hours")
	hidden(f(admin, "POST", "/"+sub.ID+"/disable", `{"reason":"moving"}`, 204, ""))
	f(viewer, "GET", "/"+sub.ID, "", 200, `"disabled":true,"reason":"moving"`)
	room.Reopen() // what was changed is journalled
	b = outbox.New(room.Alerting, map[string]outbox.Sender{"webhook": snd}, outbox.Options{})
	h = outbox.Handler(room.Alerting, b, "/api/alerting/subscriptions", func(string) error { return nil })
	hidden(f(viewer, "GET", "/"+sub.ID, "", 200, `"disabled":true,"reason":"moving"`))
	if s, _ := room.Subscription(sub.ID); len(s.Secrets) != 2 || s.Secrets[1].Key != sub.Secret || s.Secrets[1].Until == 0 {
		t.Errorf("secrets after rotation: %d", len(s.Secrets))
	}
	f(admin, "POST", "/"+sub.ID+"/enable", "", 204, "")
	f(admin, "DELETE", "/"+sub.ID, "", 204, "")
	f(admin, "DELETE", "/"+sub.ID, "", 404, "")
	f(admin, "PUT", "/"+sub.ID, "", http.StatusMethodNotAllowed, "")
	room.Reopen()
	if n := len(room.Subscriptions()); n != 0 {
		t.Errorf("%d subscriptions after deletion", n)
	}
}

// Whoever has stations of their own sees and governs what carries those alone;
// addresses are for whoever may change them.
func TestScopeOfStations(t *testing.T) {
	room := alertingtest.Open(t, "", alerting.Options{}, "a", "b")
	snd := newSender(func(context.Context, string, *quantrac.Warning) error { return nil })
	b := outbox.New(room.Alerting, map[string]outbox.Sender{"webhook": snd}, outbox.Options{})
	h := outbox.Handler(room.Alerting, b, "/s", func(string) error { return nil })
	all := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "an", Role: quantrac.RoleAdmin})
	subscribe := func(stations ...string) string {
		t.Helper()
		s, err := room.Subscribe(all, alerting.Subscription{Channel: "webhook", URL: "https://x.example/hook?key=7", Stations: stations})
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	network, mine, shared := subscribe(), subscribe("a"), subscribe("a", "b")
	f := func(role quantrac.Role, method, path, body string, code int) string {
		t.Helper()
		req := httptest.NewRequest(method, "/s"+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		p := quantrac.Principal{Name: "binh", Role: role, Stations: []string{"a"}}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req.WithContext(quantrac.WithPrincipal(context.Background(), p)))
		if rec.Code != code {
			t.Errorf("%s %s %s: %d %s, want %d", role, method, path, rec.Code, rec.Body, code)
		}
		return rec.Body.String()
	}
	for _, role := range []quantrac.Role{quantrac.RoleApprover, quantrac.RoleAdmin} {
		for _, id := range []string{network, shared} {
			f(role, "GET", "/"+id, "", 403)
			f(role, "DELETE", "/"+id, "", 403)
			f(role, "POST", "/"+id+"/disable", `{"reason":"no"}`, 403)
			f(role, "POST", "/"+id+"/enable", "", 403)
			f(role, "POST", "/"+id+"/rotate", "", 403)
			f(role, "POST", "/"+id+"/test", "", 403)
			f(role, "POST", "/"+id+"/resend", `{"episode":"x","revision":1}`, 403)
		}
	}
	f(quantrac.RoleViewer, "GET", "/"+network, "", 403)
	list := f(quantrac.RoleViewer, "GET", "", "", 200)
	if strings.Contains(list, network) || strings.Contains(list, shared) || !strings.Contains(list, mine) || strings.Contains(list, "key=7") {
		t.Errorf("a viewer of station a is shown %s", list)
	}
	if s, err := room.Subscription(network); err != nil || s.Disabled || len(s.Secrets) != 1 {
		t.Errorf("the network's subscription has changed: %+v, %v", s, err)
	}
	room.Read("b", 1.5) // nothing for a receiver of station a, by hand either
	w := room.Current(context.Background(), quantrac.AudiencePublic)[0]
	f(quantrac.RoleApprover, "POST", "/"+mine+"/resend", `{"episode":"`+w.ID+`","revision":1}`, 403)
	if sent := snd.list(mine); sent != "" {
		t.Errorf("sent %s", sent)
	}
	f(quantrac.RoleApprover, "POST", "/"+mine+"/rotate", "", 200)
	f(quantrac.RoleApprover, "DELETE", "/"+mine, "", 204)
}

func TestStationsOfThePrincipal(t *testing.T) {
	room := alertingtest.Open(t, "", alerting.Options{}, "a")
	ctx := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Role: quantrac.RoleApprover, Stations: []string{"a"}})
	s, err := room.Subscribe(ctx, alerting.Subscription{Channel: "webhook", URL: "https://x.example"})
	if err != nil || len(s.Stations) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := room.Subscribe(ctx, alerting.Subscription{Channel: "webhook", URL: "https://x.example", Stations: []string{"b"}}); quantrac.KindOf(err) != quantrac.Denied {
		t.Errorf("another's station: %v", err)
	}
	if _, err := room.Subscribe(context.Background(), alerting.Subscription{Channel: "webhook", URL: "https://x.example", Audience: quantrac.AudienceStaff}); quantrac.KindOf(err) != quantrac.Denied {
		t.Errorf("technical warnings to the public: %v", err)
	}
	if err := room.EnsureSubscription(ctx, alerting.Subscription{ID: "mqtt", Channel: "mqtt"}); err != nil {
		t.Fatal(err)
	}
	if err := room.EnsureSubscription(ctx, alerting.Subscription{ID: "mqtt", Channel: "mqtt"}); err != nil || len(room.Subscriptions()) != 2 {
		t.Fatal(err, len(room.Subscriptions()))
	}
}
