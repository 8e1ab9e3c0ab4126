package collector_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"quantrac"
	"quantrac/collector"
	"quantrac/collector/deadletter"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

const noon = quantrac.Millis(1_782_864_000_000)

// devices is a registry in which every device is known.
type devices struct{}

func (devices) StationBinding(string) (*quantrac.Binding, bool) { return nil, false }

func (devices) Binding(device string) (*quantrac.Binding, bool) {
	n := math.NaN()
	return &quantrac.Binding{
		Device: device, Station: device, Group: quantrac.NewLabels("station", device), Installed: noon - 1e10,
		Properties: map[string]quantrac.Property{"water_level_meters": {Min: -1, Max: 9, SuspectMin: n, SuspectMax: n, SpikeLimit: n, RateLimit: n}},
	}, true
}

// house is a collector with all that makes its messages durable.
type house struct {
	j    *journal.Journal
	db   *tsdb.DB
	dead *deadletter.Store
	*collector.Collector
}

func openHouse(fsys vfs.FS) (*house, error) {
	clock := quantrac.NewManualClock(noon)
	j, err := journal.Open(fsys, "journal", journal.Options{Clock: clock, MinFreeBytes: -1, ReserveBytes: -1})
	if err != nil {
		return nil, err
	}
	h := &house{j: j}
	if h.db, err = tsdb.Open(fsys, "store", j, tsdb.Options{Clock: clock}); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	if h.dead, err = deadletter.Open(projection.Memory, j, deadletter.Options{}); err != nil {
		return nil, errors.Join(err, h.db.Close(), j.Close())
	}
	h.Collector = collector.New(h.db, devices{}, h.dead, clock, collector.Options{DrainMessages: 3})
	return h, nil
}

func (h *house) close() {
	// On a file system that has failed closing fails too, which is no news.
	_ = h.Collector.Close()
	_ = h.dead.Close()
	_ = h.db.Close()
	_ = h.j.Close()
}

// ledger is what senders were told.
type ledger struct {
	mu       sync.Mutex
	readings map[string]quantrac.Millis // "station value" → time
	letters  map[string]bool            // reasons wanted
}

// publish sends the messages of one device in their order, each again and again
// until it is acknowledged or the house gives no hope.
func (l *ledger) publish(h *house, device string, n int) {
	for i := range n {
		at := noon - quantrac.Millis(60_000*(n-i))
		payload := fmt.Appendf(nil, `{"time":%d,"values":{"water_level_meters":%d}}`, at, i)
		if i%4 == 3 {
			payload = fmt.Appendf(nil, "nonsense %s %d", device, i)
		}
		for attempt := range 3 {
			done := make(chan error, 1)
			m := collector.Message{Device: device, Topic: "v1/" + device + "/obs", Payload: payload, Dup: attempt > 0, Ack: func(err error) { done <- err }}
			if h.Take(context.Background(), m) != nil {
				return
			}
			err := <-done
			if !collector.DealtWith(err) {
				continue
			}
			l.mu.Lock()
			if err == nil {
				l.readings[fmt.Sprint(device, " ", i)] = at
			} else {
				l.letters[string(payload)] = true
			}
			l.mu.Unlock()
			break
		}
	}
}

// check wants everything that was acknowledged.
func (l *ledger) check(t *testing.T, h *house) {
	t.Helper()
	have := map[string]quantrac.Millis{}
	all, err := quantrac.NewMatcher(quantrac.MatchRegexp, quantrac.LabelMetric, ".+")
	if err != nil {
		t.Fatal(err)
	}
	for s, err := range h.db.Select(t.Context(), tsdb.Query{Matchers: []*quantrac.Matcher{all}, From: noon - 1e9, To: noon + 1e9}) {
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range s.Times {
			have[fmt.Sprint(s.Labels.Station(), " ", s.Values[i])] = at
		}
	}
	for reading, at := range l.readings {
		if have[reading] != at {
			t.Errorf("%s of %s was acknowledged and is gone", reading, at)
		}
	}
	letters, err := h.dead.List(t.Context(), deadletter.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, x := range letters {
		kept[string(x.Payload)] = true
	}
	for payload := range l.letters {
		if !kept[payload] {
			t.Errorf("%q was acknowledged and is no dead letter", payload)
		}
	}
}

// TestAcknowledgedSurvives fails the k-th change of the file system, for one k
// after the other until none fails, once alone and once with all after it;
// then the power goes, and everything that a sender was told is durable must be
// there.
func TestAcknowledgedSurvives(t *testing.T) {
	errDisk := errors.New("the disk has failed")
	for name, hook := range map[string]func(int64, error) func(vfs.Op) error{"once": vfs.Nth, "for good": vfs.From} {
		t.Run(name, func(t *testing.T) {
			acknowledged := 0
			step := int64(1)
			for k := int64(1); ; k += step {
				mem, fired := vfs.NewMem(), false
				var mu sync.Mutex
				fail := hook(k, errDisk)
				faulty := vfs.Faulty(mem, func(op vfs.Op) error {
					err := fail(op)
					if err != nil {
						mu.Lock()
						fired = true
						mu.Unlock()
					}
					return err
				})
				l := &ledger{readings: map[string]quantrac.Millis{}, letters: map[string]bool{}}
				if h, err := openHouse(faulty); err == nil {
					var wg sync.WaitGroup
					for _, device := range []string{"d1", "d2", "d3"} {
						wg.Go(func() { l.publish(h, device, 8) })
					}
					wg.Wait()
					after := mem.Crash(uint64(k % 7))
					h.close()
					again, err := openHouse(after)
					if err != nil {
						t.Fatalf("k=%d: open after the crash: %v", k, err)
					}
					l.check(t, again)
					again.close()
				}
				acknowledged += len(l.readings) + len(l.letters)
				if t.Failed() {
					t.Fatalf("k=%d", k)
				}
				mu.Lock()
				last := !fired
				mu.Unlock()
				if last {
					if len(l.readings) != 18 || len(l.letters) != 6 {
						t.Errorf("without a fault %d readings and %d letters are acknowledged, want 18 and 6", len(l.readings), len(l.letters))
					}
					break
				}
				if k > 60 {
					step = 5
				}
			}
			if acknowledged == 0 {
				t.Error("nothing was ever acknowledged")
			}
		})
	}
}
