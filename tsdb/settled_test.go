package tsdb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

// service is a store and an oracle that the same stations send to.
type service struct {
	*rand.Rand
	t      *testing.T
	clock  *tsdbtest.Clock
	files  *subject
	store  *engine
	oracle tsdbtest.Engine
	sent   []quantrac.Row
	made   []quantrac.Commit
}

func pick[T any](s *service, of ...T) T { return of[s.IntN(len(of))] }

func (s *service) open() {
	e, err := s.files.Open(tsdbtest.Options{Clock: s.clock})
	if err != nil {
		s.t.Fatal(err)
	}
	s.store = e.(*engine)
}

// both does something to the store and the oracle, and wants the same answer.
func (s *service) both(do func(tsdbtest.Engine) (string, error)) {
	s.t.Helper()
	want, err := do(s.oracle)
	got, err2 := do(s.store)
	if fmt.Sprint(err) != fmt.Sprint(err2) && quantrac.KindOf(err) != quantrac.KindOf(err2) {
		s.t.Fatalf("the store says %v, the oracle %v", err2, err)
	}
	if got != want {
		a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				other := ""
				if i < len(b) {
					other = b[i]
				}
				s.t.Fatalf("at %v the store answers\n%s\nthe oracle\n%s", s.clock.Now(), a[i], other)
			}
		}
		s.t.Fatalf("at %v the store's answer is cut short: %d lines of %d", s.clock.Now(), len(a), len(b))
	}
}

func (s *service) append(b quantrac.Batch) {
	s.both(func(e tsdbtest.Engine) (string, error) {
		rc, err := e.Append(context.Background(), &b)
		if rc.Commit.Number > 0 {
			s.made = append(s.made, rc.Commit)
		}
		return fmt.Sprint(rc.Commit), err // what has expired comes again
	})
}

// message is what a station sends: mostly something new, now and then again, with
// another value, or late.
func (s *service) message() {
	now := s.clock.Now()
	r := quantrac.Row{Group: quantrac.NewLabels("station", fmt.Sprintf("s%02d", s.IntN(24))), Time: now / 60_000 * 60_000}
	for _, p := range []string{"a", "b", "old"} {
		if s.IntN(3) > 0 {
			r.Cells = append(r.Cells, quantrac.Cell{Property: p, Value: float64(s.IntN(4)), Quality: quantrac.Good})
		}
	}
	if s.IntN(2) == 0 {
		r.Received = now / 1000 * 1000
	}
	switch n := s.IntN(40); {
	case n < 4 && len(s.sent) > 0:
		r = s.sent[len(s.sent)-1-s.IntN(min(len(s.sent), 60))]
	case n < 8 && len(s.sent) > 0:
		was := s.sent[len(s.sent)-1-s.IntN(min(len(s.sent), pick(s, 3, 60, 9999)))]
		r.Group, r.Time = was.Group, was.Time
	case n == 8:
		r.Time -= quantrac.Millis(s.IntN(50)) * 86_400_000
	}
	if len(r.Cells) == 0 {
		return
	}
	s.sent = append(s.sent, r)
	b := quantrac.Batch{Rows: []quantrac.Row{r}}
	switch n := s.IntN(60); {
	case n < 2:
		b.Kind, b.Author, b.Reason, b.Correction = quantrac.Corrections, "an", "fouled", fmt.Sprint(s.IntN(5))
	case n == 2:
		b = quantrac.Batch{Kind: quantrac.Revocation, Author: "an", Reason: "it was right", Correction: fmt.Sprint(s.IntN(5))}
	case n == 3:
		id := fmt.Sprint(s.IntN(5))
		s.both(func(e tsdbtest.Engine) (string, error) {
			rc, err := e.Delete(context.Background(), tsdb.Deletion{Matchers: matching(r.Group, "a"), From: r.Time - 120_000, To: r.Time, Author: "an", Reason: "x", Correction: id})
			return fmt.Sprint(rc.Commit, rc.Stored), err
		})
		return
	case n == 4:
		b = quantrac.Batch{Kind: quantrac.Forecasts, Issue: now / 60_000 * 60_000}
		for k := range 1 + s.IntN(5) {
			b.Rows = append(b.Rows, quantrac.Row{Group: r.Group.With("model", "m"), Time: b.Issue + quantrac.Millis(k+1)*60_000, Cells: r.Cells[:1]})
		}
	}
	s.append(b)
}

func matching(group quantrac.Labels, property string) []*quantrac.Matcher {
	return []*quantrac.Matcher{quantrac.Equals("station", group.Get("station")), quantrac.Equals(quantrac.LabelMetric, property)}
}

// tend does what the service does in the background, or after a restart.
func (s *service) tend() {
	ctx := context.Background()
	var err error
	switch s.IntN(12) {
	case 0, 1, 2, 3:
		err = s.store.Flush(ctx)
	case 4:
		for range 8 {
			s.message()
			err = errors.Join(err, s.store.Flush(ctx))
		}
		err = errors.Join(err, tsdb.CompactSome(s.store.DB, ctx))
	case 5, 6:
		err = s.store.Flush(ctx)
		s.clock.Set(s.clock.Now() + 20*60_000)
		err = errors.Join(err, tsdb.CompactSome(s.store.DB, ctx))
	case 7:
		err = s.store.Compact(ctx)
	case 8, 9:
		err = s.store.Expire(ctx)
	case 10:
		err = s.store.Close()
		s.open()
	default:
		s.files.Crash()
		s.open()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// ask asks for everything, as of a time, as of the last commit of a second, or now.
func (s *service) ask(asOf quantrac.Millis, commit uint64) {
	kept, _ := quantrac.NewMatcher(quantrac.MatchNotEqual, quantrac.LabelMetric, "old")
	q := tsdb.Query{
		Matchers: []*quantrac.Matcher{kept}, AsOf: asOf, AsOfCommit: commit, From: quantrac.MinMillis, To: quantrac.MaxMillis, Qualities: quantrac.AllQualities, DeviceOnly: s.IntN(3) == 0,
	}
	s.both(func(e tsdbtest.Engine) (string, error) {
		var b strings.Builder
		for got, err := range e.Select(context.Background(), q) {
			if err != nil {
				return "", err
			}
			for i, at := range got.Times {
				fmt.Fprintf(&b, "as of %d, %d, device only %v: %v at %d: %x %d\n", int64(asOf), commit, q.DeviceOnly, got.Labels, int64(at), math.Float64bits(got.Values[i]), got.Qualities[i])
			}
		}
		return b.String(), nil
	})
}

// lastOfSecond returns the number of some commit that is the last of its second.
func (s *service) lastOfSecond() uint64 {
	if len(s.made) == 0 {
		return 0
	}
	i := s.IntN(len(s.made))
	for i+1 < len(s.made) && second(s.made[i+1].Time) <= second(s.made[i].Time) {
		i++
	}
	return s.made[i].Number
}

// latest asks for the last values.
func (s *service) latest() {
	s.both(func(e tsdbtest.Engine) (string, error) {
		all, err := e.Latest(context.Background(), matching(quantrac.NewLabels("station", "s01"), "a"))
		var b strings.Builder
		for _, l := range all {
			fmt.Fprintln(&b, l.Labels, int64(l.Time), l.Value, l.Quality, int64(l.Received), int64(second(l.Commit.Time)))
		}
		return b.String(), err
	})
}

// revisions asks for the revisions of some times.
func (s *service) revisions() {
	for range min(len(s.sent), 20) {
		r := s.sent[s.IntN(len(s.sent))]
		s.both(func(e tsdbtest.Engine) (string, error) {
			revs, err := e.Revisions(context.Background(), r.Group.With(quantrac.LabelMetric, "a"), r.Time)
			var b strings.Builder
			for _, v := range revs {
				fmt.Fprintf(&b, "%v at %d: %v %d %d %v %d %s %s\n", r.Group, int64(r.Time), v.Layer, int64(second(v.Commit.Time)), int64(v.Received), v.Value, v.Revoked, v.Author, v.Correction)
			}
			return b.String(), err
		})
	}
}

// TestSettled has stations send several messages a second, over some days and months,
// and wants of the store, whatever becomes of its files, what an oracle says.
func TestSettled(t *testing.T) {
	n, from := envInt(t, "QUANTRAC_MODEL_SEEDS", 40), envInt(t, "QUANTRAC_MODEL_FROM", 1)
	for seed := uint64(from); seed < uint64(from+n/8); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { settled(t, seed) })
	}
}

func settled(t *testing.T, seed uint64) {
	s := &service{Rand: rand.New(rand.NewPCG(seed, 3)), t: t, clock: &tsdbtest.Clock{}, files: newSubject()}
	s.files.seed = seed
	s.files.options = tsdb.Options{FlushInterval: -1, Retention: func(_ quantrac.Labels, property string) time.Duration {
		if property == "old" {
			return 24 * time.Hour
		}
		return 0
	}}
	s.clock.Set(workStart)
	var err error
	if s.oracle, err = tsdbtest.NewOracle().Open(tsdbtest.Options{Clock: s.clock}); err != nil {
		t.Fatal(err)
	}
	s.open()
	defer func() { _ = s.store.Close() }() // a difference is what counts
	var moments []quantrac.Millis
	for range 25 {
		gap := []int{0, 10, 150, 400, 1500}[s.IntN(5)]
		for range 1 + s.IntN(120) {
			s.clock.Set(s.clock.Now() + quantrac.Millis(s.IntN(1+gap)))
			s.message()
		}
		moments = append(moments, s.clock.Now()-quantrac.Millis(s.IntN(60_000)), s.clock.Now()/1000*1000)
		s.tend()
		s.ask(0, 0)
		for range 2 {
			s.ask(pick(s, moments...), 0)
			s.ask(0, s.lastOfSecond())
		}
		s.revisions()
		s.latest()
		if s.IntN(4) == 0 {
			s.clock.Set(s.clock.Now() + quantrac.Millis(s.IntN(20))*86_400_000)
		}
	}
	for _, at := range moments {
		s.ask(at, 0)
		s.ask(0, s.lastOfSecond())
	}
}
