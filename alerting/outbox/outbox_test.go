package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/outbox"
)

// source is an alerting room in memory. What is durable survives kill.
type source struct {
	mu       sync.Mutex
	ws       []quantrac.Warning
	subs     map[string]alerting.Subscription
	progress map[string]alerting.Progress
	outcomes map[string][]alerting.Outcome
	changed  chan struct{}
	diskFull bool
}

func newSource(ids ...string) *source {
	s := &source{subs: map[string]alerting.Subscription{}, progress: map[string]alerting.Progress{}, outcomes: map[string][]alerting.Outcome{}, changed: make(chan struct{})}
	for _, id := range ids {
		s.subs[id] = alerting.Subscription{ID: id, Channel: "fake", Audience: quantrac.AudiencePublic}
	}
	return s
}

func (s *source) do(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func (s *source) poke() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// say adds the next revision of an episode, which "X." ends.
func (s *source) say(episodes ...string) {
	s.do(func() {
		for _, e := range episodes {
			id, end := strings.CutSuffix(e, ".")
			w := quantrac.Warning{ID: id, Revision: 1, Epoch: 1, Commit: uint64(len(s.ws) + 1), State: quantrac.WarningIssued,
				Audience: quantrac.AudiencePublic, Rule: quantrac.RuleLevel, Station: "st-" + id, Level: 1, Peak: 1, Sent: quantrac.FloorMillis(time.Now())}
			for _, old := range s.ws {
				if old.ID == id {
					w.Revision, w.State = old.Revision+1, quantrac.WarningUpdated
				}
			}
			if end {
				w.State, w.Level = quantrac.WarningClear, 0
			}
			s.ws = append(s.ws, w)
		}
		s.poke()
	})
}

func (s *source) Subscriptions() (out []alerting.Subscription) {
	s.do(func() {
		for _, x := range s.subs {
			out = append(out, x)
		}
	})
	return out
}

func (s *source) Subscription(id string) (x alerting.Subscription, err error) {
	s.do(func() {
		var ok bool
		if x, ok = s.subs[id]; !ok {
			err = quantrac.Errorf(quantrac.NotFound, "no subscription %s", id)
		}
	})
	return x, err
}

func (s *source) Progress(id string) (p alerting.Progress) {
	s.do(func() { p = s.progress[id]; p.Held = slices.Clone(p.Held) })
	return p
}

func (s *source) SaveProgress(_ context.Context, id string, p alerting.Progress, done ...alerting.Outcome) (err error) {
	s.do(func() {
		if s.diskFull {
			err = quantrac.Errorf(quantrac.Unavailable, "disk full")
			return
		}
		s.progress[id] = p
		s.outcomes[id] = append(s.outcomes[id], done...)
	})
	return err
}

func (s *source) Disable(_ context.Context, id, reason string) error {
	s.edit(id, func(x *alerting.Subscription) { x.Disabled, x.Reason = true, reason })
	return nil
}

func (s *source) edit(id string, fn func(*alerting.Subscription)) {
	s.do(func() {
		x := s.subs[id]
		fn(&x)
		s.subs[id] = x
		s.poke()
	})
}

func (s *source) Revisions(_ context.Context, after uint64, limit int) (out []quantrac.Warning, err error) {
	s.do(func() {
		rest := s.ws[min(int(after), len(s.ws)):]
		out = slices.Clone(rest[:min(limit, len(rest))])
	})
	return out, nil
}

func (s *source) Standing(after, upTo uint64) (out []quantrac.Warning) {
	s.do(func() {
		for i, w := range s.ws {
			newest := !slices.ContainsFunc(s.ws[i+1:], func(x quantrac.Warning) bool { return x.ID == w.ID })
			if newest && !w.Ended() && w.Commit > after && w.Commit <= upTo {
				out = append(out, w)
			}
		}
	})
	return out
}

func (s *source) EpisodeSince(_ context.Context, id string, from uint64) (out []quantrac.Warning, err error) {
	s.do(func() {
		for _, w := range s.ws {
			if w.ID == id && w.Commit >= from {
				out = append(out, w)
			}
		}
	})
	return out, nil
}

func (s *source) Changed() (ch <-chan struct{}) {
	s.do(func() { ch = s.changed })
	return ch
}

// sender is a channel whose behaviour a test sets.
type sender struct {
	mu   sync.Mutex
	got  map[string][]string // by subscription: "episode/revision"
	when map[string][]time.Duration
	t0   time.Time
	act  func(ctx context.Context, sub string, w *quantrac.Warning) error
}

func newSender(act func(ctx context.Context, sub string, w *quantrac.Warning) error) *sender {
	return &sender{got: map[string][]string{}, when: map[string][]time.Duration{}, t0: time.Now(), act: act}
}

func (s *sender) Send(ctx context.Context, sub alerting.Subscription, w *quantrac.Warning) error {
	s.mu.Lock()
	s.when[sub.ID] = append(s.when[sub.ID], time.Since(s.t0))
	act := s.act
	s.mu.Unlock()
	if act != nil {
		if err := act(ctx, sub.ID, w); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[sub.ID] = append(s.got[sub.ID], fmt.Sprintf("%s/%d", w.ID, w.Revision))
	return nil
}

// SendStanding marks what it tells with a star.
func (s *sender) SendStanding(ctx context.Context, sub alerting.Subscription, w *quantrac.Warning) error {
	if err := s.Send(ctx, sub, w); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[sub.ID][len(s.got[sub.ID])-1] += "*"
	return nil
}

func (s *sender) list(sub string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.got[sub], " ")
}

func (s *sender) behave(act func(ctx context.Context, sub string, w *quantrac.Warning) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act = act
}

// run drives an outbox in a bubble of fake time until the returned stop.
func run(src *source, snd *sender, o outbox.Options) (*outbox.Outbox, func()) {
	b := outbox.New(src, map[string]outbox.Sender{"fake": snd}, o)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.Run(ctx) })
	return b, func() { cancel(); wg.Wait() }
}

func expect(t *testing.T, snd *sender, sub, want string) {
	t.Helper()
	synctest.Wait()
	if got := snd.list(sub); got != want {
		t.Fatalf("%s got %q, want %q", sub, got, want)
	}
}

// A new subscription hears what stands first, marked, in the order it was said;
// whatever fails or is refused meanwhile, and also over a restart.
func TestStandingIsToldFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource("all", "one", "high")
		src.edit("one", func(s *alerting.Subscription) { s.Stations = []string{"st-b"} })
		src.edit("high", func(s *alerting.Subscription) { s.MinLevel = 2 })
		src.say("a", "b", "c", "a", "d", "c.") // a/2, b/1 and d/1 stand
		for id := range src.subs {
			src.progress[id] = alerting.Progress{Commit: uint64(len(src.ws)), Standing: new(uint64)}
		}
		away := func(sub, episode string, f *alerting.Failure) func(context.Context, string, *quantrac.Warning) error {
			return func(_ context.Context, to string, w *quantrac.Warning) error {
				if to == sub && w.ID == episode {
					return f
				}
				return nil
			}
		}
		snd := newSender(away("all", "a", &alerting.Failure{Err: errors.New("away")}))
		_, stop := run(src, snd, outbox.Options{})
		expect(t, snd, "all", "b/1*")
		expect(t, snd, "one", "b/1*")
		expect(t, snd, "high", "")
		src.say("d", "e")
		expect(t, snd, "all", "b/1*")
		stop()
		snd.behave(away("all", "d", &alerting.Failure{Err: errors.New("no"), Refused: true}))
		_, stop = run(src, snd, outbox.Options{})
		expect(t, snd, "all", "b/1* a/2* e/1")
		snd.behave(nil)
		time.Sleep(time.Hour)
		expect(t, snd, "all", "b/1* a/2* e/1 d/2")
		src.say("b", "b.")
		expect(t, snd, "all", "b/1* a/2* e/1 d/2 b/2 b/3")
		expect(t, snd, "one", "b/1* b/2 b/3")
		stop()
		if p := src.progress["all"]; p.Standing != nil || len(p.Held) != 0 {
			t.Errorf("in the end: %+v", p)
		}

		// Refused while it is told, it is told as such later.
		src.subs["late"] = alerting.Subscription{ID: "late", Channel: "fake", Audience: quantrac.AudiencePublic}
		src.progress["late"] = alerting.Progress{Commit: uint64(len(src.ws)), Standing: new(uint64)}
		snd.behave(away("late", "a", &alerting.Failure{Err: errors.New("no"), Refused: true}))
		_, stop = run(src, snd, outbox.Options{})
		defer stop()
		expect(t, snd, "late", "d/2* e/1*")
		src.say("a")
		expect(t, snd, "late", "d/2* e/1*")
		snd.behave(nil)
		time.Sleep(time.Hour)
		expect(t, snd, "late", "d/2* e/1* a/2* a/3")
	})
}

func TestInOrderToAllWhoWantIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("all", "one", "high"), newSender(nil)
		src.edit("one", func(s *alerting.Subscription) { s.Stations = []string{"st-a"} })
		src.edit("high", func(s *alerting.Subscription) { s.MinLevel = 2 })
		src.say("a", "b")
		_, stop := run(src, snd, outbox.Options{})
		defer stop()
		expect(t, snd, "all", "a/1 b/1")
		src.say("a", "c", "a.")
		expect(t, snd, "all", "a/1 b/1 a/2 c/1 a/3")
		expect(t, snd, "one", "a/1 a/2 a/3")
		expect(t, snd, "high", "")
		src.do(func() {
			src.subs["late"] = alerting.Subscription{ID: "late", Channel: "fake"}
			src.progress["late"] = alerting.Progress{Commit: 4}
		})
		src.say("d")
		expect(t, snd, "late", "a/3 d/1")
		src.do(func() { delete(src.subs, "one") })
		src.say("a")
		expect(t, snd, "one", "a/1 a/2 a/3")
		expect(t, snd, "late", "a/3 d/1 a/4")
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("x"), newSender(func(context.Context, string, *quantrac.Warning) error { return errors.New("connection refused") })
		src.say("a", "a", "b")
		b, stop := run(src, snd, outbox.Options{})
		defer stop()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		snd.mu.Lock()
		at := slices.Clone(snd.when["x"])
		snd.mu.Unlock()
		want := 5 * time.Second
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < want*4/5 || gap > want*6/5 {
				t.Errorf("pause %d is %s, want %s ± 20 %%", i, gap, want)
			}
			want = min(2*want, time.Hour)
		}
		if len(at) < 30 || len(at) > 45 {
			t.Errorf("%d attempts in a day", len(at))
		}
		if st := b.Status("x"); st.Attempts != len(at) || st.LastError != "connection refused" || st.Next == 0 {
			t.Errorf("%+v", st)
		}
		snd.behave(nil)
		time.Sleep(90 * time.Minute)
		expect(t, snd, "x", "a/1 a/2 b/1")
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("x"), newSender(nil)
		n := 0
		snd.behave(func(context.Context, string, *quantrac.Warning) error {
			if n++; n == 1 {
				return &alerting.Failure{Err: errors.New("429"), RetryAfter: 10 * time.Minute}
			}
			return nil
		})
		src.say("a")
		_, stop := run(src, snd, outbox.Options{})
		defer stop()
		time.Sleep(10*time.Minute - time.Second)
		expect(t, snd, "x", "")
		time.Sleep(2 * time.Second)
		expect(t, snd, "x", "a/1")
	})
}

func TestSlowOneBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("dead", "good"), newSender(func(ctx context.Context, sub string, _ *quantrac.Warning) error {
			if sub == "dead" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		_, stop := run(src, snd, outbox.Options{})
		defer stop()
		for i := range 100 {
			src.say(fmt.Sprint("e", i%7))
		}
		synctest.Wait()
		if n := len(strings.Fields(snd.list("good"))); n != 100 {
			t.Fatalf("%d of 100 delivered beside a dead receiver", n)
		}
	})
}

func TestRefusedEpisodeWaitsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("x"), newSender(func(_ context.Context, _ string, w *quantrac.Warning) error {
			if w.ID == "bad" {
				return &alerting.Failure{Err: errors.New("422"), Refused: true}
			}
			return nil
		})
		src.say("a", "bad", "a", "bad", "b")
		_, stop := run(src, snd, outbox.Options{})
		expect(t, snd, "x", "a/1 a/2 b/1")
		src.say("bad.", "a.")
		expect(t, snd, "x", "a/1 a/2 b/1 a/3")
		stop() // what is held survives a restart
		snd.behave(nil)
		_, stop = run(src, snd, outbox.Options{})
		defer stop()
		expect(t, snd, "x", "a/1 a/2 b/1 a/3 bad/1 bad/2 bad/3")
		if p := src.Progress("x"); len(p.Held) != 0 || p.Commit != 7 {
			t.Errorf("%+v", p)
		}
		time.Sleep(100 * time.Hour)
		expect(t, snd, "x", "a/1 a/2 b/1 a/3 bad/1 bad/2 bad/3")
	})
}

func TestGivesUpInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource("dead", "picky")
		snd := newSender(func(_ context.Context, sub string, w *quantrac.Warning) error {
			switch {
			case sub == "dead":
				return errors.New("no route")
			case w.ID == "bad":
				return &alerting.Failure{Err: errors.New("400"), Refused: true}
			}
			return nil
		})
		src.say("a", "bad")
		_, stop := run(src, snd, outbox.Options{})
		defer stop()
		time.Sleep(71 * time.Hour)
		src.say("b")
		time.Sleep(4 * time.Hour)
		snd.behave(nil)
		time.Sleep(2 * time.Hour)
		expect(t, snd, "dead", "b/1")
		expect(t, snd, "picky", "a/1 b/1")
		for _, sub := range []string{"dead", "picky"} {
			var lost []string
			for _, o := range src.outcomes[sub] {
				if o.Outcome == alerting.GivenUp {
					lost = append(lost, o.ID)
				}
			}
			if want := map[string]string{"dead": "a bad", "picky": "bad"}[sub]; strings.Join(lost, " ") != want {
				t.Errorf("%s: given up %q, want %q", sub, lost, want)
			}
		}
	})
}

func TestGoneDisables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource("x")
		snd := newSender(func(context.Context, string, *quantrac.Warning) error {
			return &alerting.Failure{Err: errors.New("410 gone"), Gone: true}
		})
		src.say("a", "b")
		_, stop := run(src, snd, outbox.Options{})
		defer stop()
		synctest.Wait()
		if s, _ := src.Subscription("x"); !s.Disabled || s.Reason != "410 gone" || len(snd.when["x"]) != 1 {
			t.Fatalf("%+v, %d attempts", s, len(snd.when["x"]))
		}
		snd.behave(nil)
		time.Sleep(48 * time.Hour)
		expect(t, snd, "x", "")
		src.edit("x", func(s *alerting.Subscription) { s.Disabled = false })
		expect(t, snd, "x", "a/1 b/1")
	})
}

func TestEditEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("x"), newSender(func(context.Context, string, *quantrac.Warning) error { return errors.New("wrong address") })
		src.say("a")
		_, stop := run(src, snd, outbox.Options{First: time.Hour})
		defer stop()
		synctest.Wait()
		snd.behave(nil)
		src.edit("x", func(s *alerting.Subscription) { s.URL = "https://right.example" })
		expect(t, snd, "x", "a/1")
	})
}

func TestDiskFullStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("x"), newSender(nil)
		src.do(func() { src.diskFull = true })
		src.say("a", "a")
		_, stop := run(src, snd, outbox.Options{})
		expect(t, snd, "x", "a/1 a/2")
		stop()
		src.do(func() { src.diskFull = false })
		_, stop = run(src, snd, outbox.Options{})
		defer stop()
		expect(t, snd, "x", "a/1 a/2 a/1 a/2") // at least once
	})
}

func TestResendAndTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("x"), newSender(nil)
		src.say("a", "a")
		b, stop := run(src, snd, outbox.Options{})
		defer stop()
		expect(t, snd, "x", "a/1 a/2")
		ctx := context.Background()
		if err := b.Resend(ctx, "x", "a", 1); err != nil {
			t.Fatal(err)
		}
		expect(t, snd, "x", "a/1 a/2 a/1")
		for name, err := range map[string]error{
			"revision":     b.Resend(ctx, "x", "a", 3),
			"subscription": b.Resend(ctx, "y", "a", 1),
			"test":         b.Test(ctx, "y"),
		} {
			if quantrac.KindOf(err) != quantrac.NotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		src.do(func() { src.ws[0].Audience = quantrac.AudienceStaff })
		if err := b.Resend(ctx, "x", "a", 1); quantrac.KindOf(err) != quantrac.Denied {
			t.Errorf("a staff warning to the public: %v", err)
		}
		if err := b.Test(ctx, "x"); err != nil || !strings.Contains(snd.list("x"), "test-") {
			t.Errorf("%v, %s", err, snd.list("x"))
		}
	})
}

// TestDrivenClock: a recording of years ago is replayed; its warnings are no
// older to a receiver than those of today.
func TestDrivenClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, snd := newSource("x"), newSender(nil)
		n := 0
		snd.behave(func(context.Context, string, *quantrac.Warning) error {
			if n++; n < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		src.say("a", "b")
		src.do(func() { src.ws[0].Sent, src.ws[1].Sent = 1, 2 })
		_, stop := run(src, snd, outbox.Options{})
		defer stop()
		time.Sleep(time.Hour)
		expect(t, snd, "x", "a/1 b/1")
	})
}

// TestKills stops the outbox at random moments, with receivers that fail,
// refuse, and answer only after they took a message: each gets every revision
// at least once and none of an episode after a higher one.
func TestKills(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			dice := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return rng.IntN(n)
			}
			src := newSource("x", "y", "z")
			heard := map[string][]quantrac.Warning{}
			snd := newSender(func(ctx context.Context, sub string, w *quantrac.Warning) error {
				time.Sleep(time.Duration(dice(3000)) * time.Millisecond)
				take := func() {
					mu.Lock()
					defer mu.Unlock()
					heard[sub] = append(heard[sub], *w)
				}
				switch dice(10) {
				case 0:
					return errors.New("timeout before")
				case 1:
					take()
					return errors.New("timeout after") // taken, but we do not know
				case 2:
					return &alerting.Failure{Err: errors.New("400"), Refused: true}
				case 3:
					return &alerting.Failure{Err: errors.New("503"), RetryAfter: time.Second}
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				take()
				return nil
			})
			total := 0
			for range 12 {
				_, stop := run(src, snd, outbox.Options{Most: time.Minute, Seed: seed})
				for range 3 + dice(6) {
					src.say("e" + fmt.Sprint(dice(4)))
					total++
					time.Sleep(time.Duration(dice(8000)) * time.Millisecond)
				}
				stop()
			}
			_, stop := run(src, snd, outbox.Options{Most: time.Minute, Seed: seed})
			time.Sleep(6 * time.Hour)
			stop()
			for _, sub := range []string{"x", "y", "z"} {
				last, seen := map[string]int{}, map[string]bool{}
				for _, w := range heard[sub] {
					if w.Revision < last[w.ID] {
						t.Fatalf("seed %d: %s got %s/%d after %d", seed, sub, w.ID, w.Revision, last[w.ID])
					}
					last[w.ID] = w.Revision
					seen[fmt.Sprintf("%s/%d", w.ID, w.Revision)] = true
				}
				if len(seen) != total {
					t.Fatalf("seed %d: %s got %d of %d revisions", seed, sub, len(seen), total)
				}
			}
		})
	}
}
