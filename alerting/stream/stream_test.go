package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/alertingtest"
	"quantrac/alerting/stream"
	quantracv1 "quantrac/api/quantrac/v1"
	"quantrac/api/quantrac/v1/quantracv1connect"
)

// serve puts the service on a port of the loopback, with a principal by header.
func serve(t *testing.T, src stream.Source, o stream.Options) (quantracv1connect.WarningServiceClient, *httptest.Server) {
	t.Helper()
	path, h := stream.New(src, o)
	mux := http.NewServeMux()
	mux.Handle(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := quantrac.Principal{Role: quantrac.Role(r.Header.Get("X-Role"))}
		if s := r.Header.Get("X-Station"); s != "" {
			p.Stations = []string{s}
		}
		h.ServeHTTP(w, r.WithContext(quantrac.WithPrincipal(r.Context(), p)))
	}))
	srv := httptest.NewUnstartedServer(mux)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return quantracv1connect.NewWarningServiceClient(srv.Client(), srv.URL), srv
}

func watch(ctx context.Context, t *testing.T, c quantracv1connect.WarningServiceClient, role string, aud quantracv1.Audience, after *uint64) *connect.ServerStreamForClient[quantracv1.WatchResponse] {
	t.Helper()
	req := connect.NewRequest(&quantracv1.WatchRequest{AfterCommit: after, Audience: aud})
	req.Header().Set("X-Role", role)
	st, err := c.Watch(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// take receives until n warnings have come, and returns them and the last
// commit.
func take(t *testing.T, st *connect.ServerStreamForClient[quantracv1.WatchResponse], n int) (out []string, commit uint64) {
	t.Helper()
	for len(out) < n && st.Receive() {
		m := st.Msg()
		if m.Commit < commit {
			t.Fatalf("commit %d after %d", m.Commit, commit)
		}
		commit = m.Commit
		if w := m.Warning; w != nil {
			out = append(out, fmt.Sprintf("%s %s %d r%d", w.Station, strings.ToLower(strings.TrimPrefix(w.State.String(), "STATE_")), w.Level, w.Revision))
			if w.Commit != m.Commit || w.Headline.GetVi() == "" || w.Headline.GetEn() == "" {
				t.Fatalf("incomplete: %v", m)
			}
		}
	}
	if len(out) < n {
		t.Fatalf("got %q, then: %v", out, st.Err())
	}
	return out, commit
}

func zero() *uint64 { return new(uint64) }

func TestWatchAndResume(t *testing.T) {
	room := alertingtest.Open(t, "", alerting.Options{}, "a", "b")
	c, _ := serve(t, room.Alerting, stream.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	room.Read("a", 1.5)
	now := watch(ctx, t, c, "", 0, nil) // from now on
	if !now.Receive() || now.Msg().Warning != nil || now.Msg().Commit == 0 {
		t.Fatalf("the stream begins with %v, %v", now.Msg(), now.Err())
	}
	room.Read("a", 2.5)
	room.Read("b", 1.5)
	if got, _ := take(t, now, 2); got[0] != "a update 2 r2" || got[1] != "b issue 1 r1" {
		t.Errorf("from now on: %q", got)
	}
	_ = now.Close()
	all := watch(ctx, t, c, "", 0, zero())
	got, commit := take(t, all, 2)
	if got[0] != "a issue 1 r1" || got[1] != "a update 2 r2" {
		t.Errorf("from the beginning: %q", got)
	}
	_ = all.Close()
	room.Read("a", 0.5)
	rest := watch(ctx, t, c, "", 0, &commit)
	if got, _ := take(t, rest, 2); got[0] != "b issue 1 r1" || got[1] != "a all_clear 0 r3" {
		t.Errorf("resumed: %q", got)
	}
	_ = rest.Close()
	beyond := commit + 1000
	st := watch(ctx, t, c, "", 0, &beyond)
	if st.Receive() || connect.CodeOf(st.Err()) != connect.CodeOutOfRange {
		t.Errorf("beyond the end: %v", st.Err())
	}
}

func TestAudiences(t *testing.T) {
	clock := quantrac.NewManualClock(1_727_744_400_000)
	room := alertingtest.Open(t, "", alerting.Options{Clock: clock}, "a", "b")
	c, srv := serve(t, room.Alerting, stream.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	room.Read("a", 1.5)
	room.Read("b", 1.5)
	clock.Advance(3 * time.Hour) // both fall silent
	staffWatch := watch(ctx, t, c, "viewer", quantracv1.Audience_AUDIENCE_STAFF, zero())
	if got, _ := take(t, staffWatch, 4); got[2] != "a issue 0 r1" {
		t.Errorf("staff: %q", got)
	}
	st := watch(ctx, t, c, "", quantracv1.Audience_AUDIENCE_STAFF, nil)
	if st.Receive() || connect.CodeOf(st.Err()) != connect.CodePermissionDenied {
		t.Errorf("staff's stream to the public: %v", st.Err())
	}
	list := func(aud quantracv1.Audience, episode string, header ...string) ([]*quantracv1.Warning, error) {
		req := connect.NewRequest(&quantracv1.ListRequest{Audience: aud, Episode: episode})
		for i := 0; i < len(header); i += 2 {
			req.Header().Set(header[i], header[i+1])
		}
		resp, err := c.List(ctx, req)
		if err != nil {
			return nil, err
		}
		if resp.Msg.Commit == 0 {
			t.Error("a list without its commit")
		}
		return resp.Msg.Warnings, nil
	}
	if ws, err := list(0, ""); err != nil || len(ws) != 2 {
		t.Errorf("public: %d, %v", len(ws), err)
	}
	ws, err := list(quantracv1.Audience_AUDIENCE_STAFF, "", "X-Role", "viewer")
	if err != nil || len(ws) != 4 {
		t.Errorf("staff: %d, %v", len(ws), err)
	}
	if ws, err := list(quantracv1.Audience_AUDIENCE_STAFF, "", "X-Role", "viewer", "X-Station", "b"); err != nil || len(ws) != 2 {
		t.Errorf("of one station: %d, %v", len(ws), err)
	}
	if _, err := list(quantracv1.Audience_AUDIENCE_STAFF, ""); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("staff's list to the public: %v", err)
	}
	if _, err := list(9, ""); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("unknown audience: %v", err)
	}
	if one, err := list(0, ws[0].Id); err != nil || len(one) != 1 {
		t.Errorf("episode: %d, %v", len(one), err)
	}
	for _, id := range []string{"nothing", ws[2].Id} { // the latter is a silence
		if _, err := list(0, id); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("episode %s: %v", id, err)
		}
	}
	// Plain JSON by POST works too.
	resp, err := srv.Client().Post(srv.URL+"/quantrac.v1.WarningService/List", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || !bytes.Contains(text, []byte(`"headline"`)) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

func TestHeartbeatAndShutdown(t *testing.T) {
	room := alertingtest.Open(t, "", alerting.Options{}, "a")
	stop := make(chan struct{})
	c, _ := serve(t, room.Alerting, stream.Options{Heartbeat: time.Millisecond, Stop: stop, MaxStreams: 1})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st := watch(ctx, t, c, "", 0, nil)
	for range 3 {
		if !st.Receive() || st.Msg().Warning != nil {
			t.Fatalf("%v, %v", st.Msg(), st.Err())
		}
	}
	second := watch(ctx, t, c, "", 0, nil)
	if second.Receive() || connect.CodeOf(second.Err()) != connect.CodeResourceExhausted {
		t.Errorf("one stream too many: %v", second.Err())
	}
	close(stop)
	for st.Receive() {
	}
	if connect.CodeOf(st.Err()) != connect.CodeUnavailable {
		t.Errorf("at shutdown: %v", st.Err())
	}
}

// heavy is a source with long texts, so that a reader that stops reading fills
// every buffer.
type heavy struct{ n uint64 }

func (h *heavy) Current(context.Context, quantrac.Audience) []quantrac.Warning { return nil }
func (h *heavy) Episode(context.Context, string) ([]quantrac.Warning, error)   { return nil, nil }
func (h *heavy) Changed() <-chan struct{}                                      { return nil }
func (h *heavy) Position() uint64                                              { return h.n }
func (h *heavy) Revisions(_ context.Context, after uint64, limit int) ([]quantrac.Warning, error) {
	var out []quantrac.Warning
	noise := make([]byte, 100_000) // does not compress to nothing
	for i := range noise {
		noise[i] = 'a' + byte(rand.IntN(26))
	}
	for c := after + 1; c <= h.n && len(out) < limit; c++ {
		out = append(out, quantrac.Warning{ID: "w", Revision: int(c), Commit: c, Audience: quantrac.AudiencePublic, Station: "a",
			State: quantrac.WarningUpdated, Headline: quantrac.Text{Vi: string(noise), En: "x"}})
	}
	return out, nil
}

// TestSlowReader stops reading: it is disconnected, and resumes without a gap.
func TestSlowReader(t *testing.T) {
	src := &heavy{n: 120} // 12 MB
	path, h := stream.New(src, stream.Options{SendTimeout: 200 * time.Millisecond})
	_, patient := stream.New(src, stream.Options{}) // for one who reads, slow as the machine may be
	var streams atomic.Int32
	ended := make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if streams.Add(1) > 1 {
			patient.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
		close(ended)
	}))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := quantracv1connect.NewWarningServiceClient(srv.Client(), srv.URL)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	seen := uint64(0)
	for lives := 1; ; lives++ {
		st := watch(ctx, t, c, "", 0, &seen)
		for n := 0; st.Receive(); n++ {
			if w := st.Msg().Warning; w != nil {
				if w.Commit != seen+1 {
					t.Fatalf("commit %d after %d", w.Commit, seen)
				}
				seen = w.Commit
			}
			if seen == src.n {
				break
			}
			if lives == 1 && n == 3 {
				select {
				case <-ended: // we are thrown out while we do not read
				case <-ctx.Done():
					t.Fatal("a reader that does not read is kept for ever")
				}
			}
		}
		_ = st.Close()
		if seen == src.n {
			if lives < 2 {
				t.Error("never disconnected")
			}
			return
		}
	}
}
