package deadletter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"quantrac"
	"quantrac/collector"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
)

func open(t *testing.T, fsys vfs.FS, path string, o Options) (*Store, *journal.Journal) {
	t.Helper()
	j, err := journal.Open(fsys, "journal", journal.Options{Clock: quantrac.NewManualClock(1700000000000), MinFreeBytes: -1, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, j, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, j
}

func letter(device, reason string, payload []byte) collector.DeadLetter {
	return collector.DeadLetter{Kind: collector.LetterRefused, Device: device, Source: "v1/" + device + "/obs", Received: 1699999999000, Reason: reason, Payload: payload}
}

func caughtUp(t *testing.T, s *Store, j *journal.Journal) {
	t.Helper()
	if err := s.db.CatchUp(context.Background(), j); err != nil {
		t.Fatal(err)
	}
}

func TestKeptAcrossRestart(t *testing.T) {
	fsys, path := vfs.NewMem(), filepath.Join(t.TempDir(), "letters.db")
	s, j := open(t, fsys, path, Options{})
	ctx := context.Background()
	if err := s.Put(ctx, letter("a", "no JSON: line 1, column 3", []byte("{{")), letter("b", "nobody's device", []byte{0xff, 0})); err != nil {
		t.Fatal(err)
	}
	// The process dies before the table has followed the journal.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	s, j = open(t, fsys, path, Options{})
	defer j.Close()
	defer s.Close()
	got, err := s.List(ctx, Filter{})
	if err != nil || len(got) != 2 || got[0].Device != "b" || got[1].ID != 1 || string(got[1].Payload) != "{{" || got[1].Kept != 1700000000000 {
		t.Fatalf("after the restart: %+v, %v", got, err)
	}
	if one, err := s.Get(ctx, 1); err != nil || one.Reason != "no JSON: line 1, column 3" {
		t.Errorf("Get(1) = %+v, %v", one, err)
	}
	if _, err := s.Get(ctx, 99); quantrac.KindOf(err) != quantrac.NotFound {
		t.Errorf("Get(99): %v, want NotFound", err)
	}
	if got, _ := s.List(ctx, Filter{Device: "a"}); len(got) != 1 || got[0].Device != "a" {
		t.Errorf("of device a: %+v", got)
	}
	if got, _ := s.List(ctx, Filter{Before: 2}); len(got) != 1 || got[0].ID != 1 {
		t.Errorf("second page: %+v", got)
	}
}

// Letters that are together more than the journal takes at once are kept, each.
func TestManyAtOnce(t *testing.T) {
	s, j := open(t, vfs.NewMem(), filepath.Join(t.TempDir(), "l.db"), Options{MaxPayload: 6 << 20, MaxBytes: 1 << 30})
	defer j.Close()
	defer s.Close()
	var letters []collector.DeadLetter
	for i := range 9 {
		letters = append(letters, letter(fmt.Sprint("d", i), "x", bytes.Repeat([]byte{byte(i)}, 5<<20)))
	}
	if err := s.Put(t.Context(), letters...); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, s, j)
	if got, err := s.List(t.Context(), Filter{}); err != nil || len(got) != len(letters) || got[0].Device != "d8" {
		t.Errorf("%d letters kept, %v, want %d", len(got), err, len(letters))
	}
}

func TestBounds(t *testing.T) {
	s, j := open(t, vfs.NewMem(), filepath.Join(t.TempDir(), "l.db"), Options{MaxLetters: 10, MaxBytes: 2500, MaxPayload: 100})
	defer j.Close()
	defer s.Close()
	ctx := context.Background()
	for i := range 15 {
		if err := s.Put(ctx, letter("a", fmt.Sprint(i), nil)); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp(t, s, j)
	st, err := s.Stats(ctx)
	if err != nil || st.Letters != 10 || st.DroppedLetters != 5 || st.DroppedBytes == 0 {
		t.Errorf("after 15 letters: %+v, %v", st, err)
	}
	if err := s.Put(ctx, letter("a", "long", bytes.Repeat([]byte("x"), 5000))); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, s, j)
	got, err := s.List(ctx, Filter{Limit: 1})
	if err != nil || len(got[0].Payload) != 100 || !strings.Contains(strings.Join(got[0].Problems, " "), "from 5000 to 100 bytes") {
		t.Errorf("the long letter: %+v, %v", got, err)
	}
	for range 20 {
		if err := s.Put(ctx, letter("a", strings.Repeat("r", 400), nil)); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp(t, s, j)
	if st, err := s.Stats(ctx); err != nil || st.Bytes > 2500 || st.Letters == 0 {
		t.Errorf("bytes are not bounded: %+v, %v", st, err)
	}
}

// A device that sends nothing but nonsense pushes out its own letters.
func TestWhoHoldsMostGivesWay(t *testing.T) {
	s, j := open(t, vfs.NewMem(), filepath.Join(t.TempDir(), "l.db"), Options{MaxLetters: 4})
	defer j.Close()
	defer s.Close()
	ctx := context.Background()
	if err := s.Put(ctx, letter("quiet", "1", nil), letter("noisy", "2", nil), letter("noisy", "3", nil), letter("noisy", "4", nil), letter("noisy", "5", nil), letter("other", "6", nil)); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, s, j)
	got, err := s.List(ctx, Filter{})
	var reasons []string
	for _, l := range got {
		reasons = append(reasons, l.Reason)
	}
	if err != nil || strings.Join(reasons, " ") != "6 5 4 1" {
		t.Errorf("kept %v, %v", reasons, err)
	}
	// The same where bytes are short and not places.
	s2, j2 := open(t, vfs.NewMem(), filepath.Join(t.TempDir(), "l.db"), Options{MaxBytes: 3000})
	defer j2.Close()
	defer s2.Close()
	long := strings.Repeat("x", 1000)
	if err := s2.Put(ctx, letter("quiet", "short", nil), letter("noisy", long, nil), letter("noisy", long, nil), letter("noisy", long, nil)); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, s2, j2)
	if got, err := s2.List(ctx, Filter{Device: "quiet"}); err != nil || len(got) != 1 {
		t.Errorf("the quiet device's: %+v, %v", got, err)
	}
}

func TestDiskFullIsTold(t *testing.T) {
	s, j := open(t, vfs.NewMem(), filepath.Join(t.TempDir(), "l.db"), Options{})
	defer s.Close()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(context.Background(), letter("a", "x", nil)); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("Put to a closed journal: %v, want Unavailable", err)
	}
}

func TestHandler(t *testing.T) {
	s, j := open(t, vfs.NewMem(), filepath.Join(t.TempDir(), "l.db"), Options{})
	defer j.Close()
	defer s.Close()
	if err := s.Put(context.Background(), letter("a", "x", []byte("text")), letter("a", "y", []byte{0xff})); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, s, j)
	f := func(role quantrac.Role, path string, status int, want string) {
		t.Helper()
		r := httptest.NewRequest("GET", path, nil)
		w := httptest.NewRecorder()
		s.Handler(nobodys).ServeHTTP(w, r.WithContext(quantrac.WithPrincipal(r.Context(), quantrac.Principal{Name: "n", Role: role})))
		if w.Code != status || !strings.Contains(w.Body.String(), want) || !json.Valid(w.Body.Bytes()) {
			t.Errorf("GET %s as %s: %d %s, want %d …%s…", path, role, w.Code, w.Body, status, want)
		}
	}
	f(quantrac.RolePublic, "/api/dead-letters", 403, "staff")
	f(quantrac.RoleDevice, "/api/dead-letters", 403, "staff")
	f(quantrac.RoleViewer, "/api/dead-letters", 200, `"payload_base64":"/w=="`)
	f(quantrac.RoleViewer, "/api/dead-letters/1", 200, `"payload":"text"`)
	f(quantrac.RoleViewer, "/api/dead-letters/7", 404, "no dead letter 7")
	f(quantrac.RoleViewer, "/api/dead-letters/x", 400, "no id")
	f(quantrac.RoleViewer, "/api/dead-letters?limit=0", 400, "1 to 1000")
	f(quantrac.RoleViewer, "/api/dead-letters?before=-1", 400, "id of a letter")
}

func nobodys(string) []string { return nil }

// Whoever has stations of their own sees what their devices sent, and no more.
func TestScopeOfStations(t *testing.T) {
	s, j := open(t, vfs.NewMem(), filepath.Join(t.TempDir(), "l.db"), Options{})
	defer j.Close()
	defer s.Close()
	if err := s.Put(context.Background(), letter("a1", "x", nil), letter("b1", "x", nil), letter("stray", "x", nil), letter("a2", "x", nil)); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, s, j)
	h := s.Handler(func(station string) []string { return map[string][]string{"a": {"a1", "a2"}, "b": {"b1"}}[station] })
	ask := func(path string, stations ...string) (int, string) {
		r := httptest.NewRequest("GET", "/api/dead-letters"+path, nil)
		w := httptest.NewRecorder()
		p := quantrac.Principal{Name: "n", Role: quantrac.RoleAdmin, Stations: stations}
		h.ServeHTTP(w, r.WithContext(quantrac.WithPrincipal(r.Context(), p)))
		return w.Code, w.Body.String()
	}
	f := func(want, path string, stations ...string) {
		t.Helper()
		var got struct{ Letters []struct{ Device string } }
		_, body := ask(path, stations...)
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		devices := ""
		for _, l := range got.Letters {
			devices += l.Device + " "
		}
		if devices != want {
			t.Errorf("%s for stations %q: %q, want %q", path, stations, devices, want)
		}
	}
	f("a2 stray b1 a1 ", "")
	f("a2 a1 ", "", "a")
	f("a2 ", "?limit=1", "a") // a page is full of what may be seen
	f("a1 ", "?before=4", "a")
	f("", "?device=b1", "a")
	f("", "", "nothing there")
	for id, want := range map[string]int{"/1": 200, "/2": 404, "/3": 404, "/4": 200} {
		if code, body := ask(id, "a"); code != want {
			t.Errorf("letter %s for station a: %d %s, want %d", id, code, body, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x01{}"))
	f.Add([]byte(`{"id":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := decode(data); err != nil && quantrac.KindOf(err) != quantrac.Corrupt {
			t.Errorf("decode: %v, want a Corrupt error", err)
		}
	})
}
