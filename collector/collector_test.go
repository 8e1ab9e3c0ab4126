package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"quantrac"
)

func TestObservationIsStored(t *testing.T) {
	r := newRig(t, Options{})
	if err := r.obs("d1", `{"time":1782863940000,"values":{"water_level_meters":2.314,"rainfall_millimeters":null}}`); err != nil {
		t.Fatal(err)
	}
	if err := r.obs("d1", `{"time":"2026-07-01T07:00:00+07:00","values":{"water_level_meters":-9999}}`); err != nil {
		t.Fatal(err)
	}
	if err := r.send(Message{Device: "d2", Topic: "v1/d2/line", Payload: []byte("water,sensor=b level_meters=2.5 1782863940000000000")}); err != nil {
		t.Fatal(err)
	}
	r.wantStored(`{station="tq"} @1782863940000 water_level_meters=2.314/1 rainfall_millimeters=NaN/9

{station="tq"} @1782864000000 water_level_meters=-9999/4

{sensor="b", station="tc"} @1782863940000 water_level_meters=2.5/1
`)
	r.wantLetters("")
	if got := r.store.batches[0].Rows[0].Received; got != 0 { // the commit's time says it
		t.Errorf("received %d", got)
	}
}

func TestDeadLetters(t *testing.T) {
	f := func(device, topic, payload string, kind quantrac.ErrorKind, stored, letters string) {
		t.Helper()
		r := newRig(t, Options{})
		r.t = t
		err := r.send(Message{Device: device, Topic: topic, Payload: []byte(payload), Received: start + 5})
		if quantrac.KindOf(err) != kind || !DealtWith(err) {
			t.Errorf("%s: acknowledged with %v, want kind %s", payload, err, kind)
		}
		r.wantStored(stored)
		r.wantLetters(letters)
	}
	good := `{"time":1782863940000,"values":{"water_level_meters":2}}`
	f("stranger", "v1/stranger/obs", good, quantrac.Denied, "",
		"refused stranger v1/stranger/obs @1782864000005: device \"stranger\" is not registered | "+good+"\n")
	f("off", "v1/off/obs", good, quantrac.Denied, "",
		"refused off v1/off/obs @1782864000005: device \"off\" is disabled | "+good+"\n")
	f("d1", "v1/d2/obs", good, quantrac.Denied, "",
		"refused d1 v1/d2/obs @1782864000005: device \"d1\" may not publish to \"v1/d2/obs\"; its topics begin with v1/d1/ | "+good+"\n")
	f("d1", "v1/d1/other", good, quantrac.Invalid, "",
		"refused d1 v1/d1/other @1782864000005: nothing reads topic \"v1/d1/other\"; a device publishes to v1/d1/obs (JSON) or v1/d1/line (line protocol) | "+good+"\n")
	f("d1", "v1/d1/obs", "hello", quantrac.Invalid, "",
		"refused d1 v1/d1/obs @1782864000005: JSON, byte 0: 'h' where a row or an array of rows is expected | hello\n")
	f("d1", "v1/d1/line", "hello", quantrac.Invalid, "",
		"refused d1 v1/d1/line @1782864000005: row 1: at line 1:6: empty tag name | hello\n")
	f("d1", "v1/d1/obs", `{"time":1,"values":{"water_level_meters":"NaN"}}`, quantrac.Invalid, "",
		"refused d1 v1/d1/obs @1782864000005: row 0, water_level_meters: text where a number, true, false or null is expected | {\"time\":1,\"values\":{\"water_level_meters\":\"NaN\"}}\n")

	// A message that the way in has not read whole.
	r := newRig(t, Options{})
	err := r.send(Message{Device: "d1", Topic: "v1/d1/obs", Payload: []byte(good), Beginning: &Beginning{Of: 2 << 20, Most: 1 << 20}})
	if quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("the beginning of a message: acknowledged with %v", err)
	}
	r.wantStored("")
	r.wantLetters("refused d1 v1/d1/obs @1782864000000: a payload of 2097152 bytes; at most 1048576 are taken in one message, with its topic: send it in parts | " + good +
		"\n  payload cut here from 2097152 to 56 bytes\n")

	// A part is refused, the rest is kept.
	part := `{"time":1782863940000,"values":{"water_level_meters":2,"battery_volts":3.6,"x":1}}`
	f("d1", "v1/d1/obs", part, quantrac.KindNone, "{station=\"tq\"} @1782863940000 water_level_meters=2/1\n",
		"partial d1 v1/d1/obs @1782864000005: row 0, battery_volts: no such property is registered for device \"d1\" | "+part+
			"\n  row 0, x: no such property is registered for device \"d1\"\n")
	lines := "water,station=other level_meters=1 1782863940000000000\nwater,station=tq level_meters=2 1782863940000000000\n"
	f("d1", "v1/d1/line", lines, quantrac.KindNone, "{station=\"tq\"} @1782863940000 water_level_meters=2/1\n",
		"partial d1 v1/d1/line @1782864000005: row 1: tag station=\"other\" contradicts the registry, which binds device \"d1\" to station=\"tq\" | "+lines+"\n")

	// Times that cannot be right: the newest row was observed on receipt.
	f("d1", "v1/d1/obs", `[{"time":946684800000,"values":{"water_level_meters":2}},{"time":946685400000,"values":{"water_level_meters":2.1,"rainfall_millimeters":null}},{"time":1782863940000,"values":{"water_level_meters":3}}]`,
		quantrac.KindNone, "{station=\"tq\"} @1782863940000 water_level_meters=3/1\n",
		"quarantine d1 v1/d1/obs @1782864000005: time lies before the station's installation\n"+
			"  {station=\"tq\"} @946684800000 offered 1782863400005 water_level_meters=2\n"+
			"  {station=\"tq\"} @946685400000 offered 1782864000005 water_level_meters=2.1 rainfall_millimeters missing\n")
}

// Times that no clock has said stay out of the store, which would have to make
// room for each wherever it lies; what is wrong in two ways makes two letters.
func TestTimesBeyondAllClocks(t *testing.T) {
	r := newRig(t, Options{})
	err := r.obs("d1", `[{"time":1000000000000000,"values":{"water_level_meters":1}},
		{"time":-1000000000000000,"values":{"water_level_meters":2}},
		{"time":1000000000600000,"values":{"water_level_meters":3}},
		{"time":-2209014000001,"values":{"water_level_meters":4}},
		{"time":2000000000000000,"values":{"rainfall_millimeters":5}},
		{"time":1782863940000,"values":{"water_level_meters":6}}]`)
	if err != nil {
		t.Fatal(err)
	}
	r.wantStored("{station=\"tq\"} @1782863940000 water_level_meters=6/1\n")
	r.wantLetters("quarantine d1 v1/d1/obs @1782864000000: time lies more than a year ahead of the centre's clock\n" +
		"  {station=\"tq\"} @1000000000000000 offered 0 water_level_meters=1\n" +
		"  {station=\"tq\"} @1000000000600000 offered 0 water_level_meters=3\n" +
		"  {station=\"tq\"} @2000000000000000 offered 1782864000000 rainfall_millimeters=5\n" +
		"quarantine d1 v1/d1/obs @1782864000000: time lies before 1900, earlier than any instrument record\n" +
		"  {station=\"tq\"} @-1000000000000000 offered 0 water_level_meters=2\n" +
		"  {station=\"tq\"} @-2209014000001 offered 1782864000000 water_level_meters=4\n")
}

func TestBootClockWithoutInstallation(t *testing.T) {
	r := newRig(t, Options{})
	r.registry["d1"].Installed = 0
	if err := r.obs("d1", `{"time":946684860000,"values":{"water_level_meters":2}}`); err != nil {
		t.Fatal(err)
	}
	r.wantStored("")
	r.wantLetters("quarantine d1 v1/d1/obs @1782864000000: time is the start date of an unset logger clock\n" +
		"  {station=\"tq\"} @946684860000 offered 1782864000000 water_level_meters=2\n")
}

// A reading ahead of the centre's clock is the store's to fail; it must not
// make the readings of the present look late to quality control.
func TestAheadLeavesQualityControlAlone(t *testing.T) {
	r := newRig(t, Options{})
	for _, payload := range []string{
		`{"time":1782863400000,"values":{"water_level_meters":2}}`,
		`{"time":1789999999000,"values":{"water_level_meters":3}}`,
		`{"time":1782863410000,"values":{"water_level_meters":4}}`,
	} {
		if err := r.obs("d1", payload); err != nil {
			t.Fatal(err)
		}
	}
	r.wantStored(`{station="tq"} @1782863400000 water_level_meters=2/1

{station="tq"} @1789999999000 water_level_meters=3/1

{station="tq"} @1782863410000 water_level_meters=4/3
`)
}

// Rows of one message may stand in any order; the spike test sees them in the
// order of their times, and the batch keeps the order in which they came.
func TestQualityOverABatch(t *testing.T) {
	r := newRig(t, Options{})
	row := func(at quantrac.Millis, v string) string {
		return fmt.Sprintf(`{"time":%d,"values":{"water_level_meters":%s}}`, start-at, v)
	}
	payload := "[" + strings.Join([]string{row(10*mins, "2.2"), row(20*mins, "5"), row(30*mins, "2"), row(40*mins, "2"), row(15*mins, "-9999")}, ",") + "]"
	if err := r.obs("d1", payload); err != nil {
		t.Fatal(err)
	}
	// 5 lies 2.9 off the mean of 2 and -9999, a fault, so that it has no
	// neighbour after it; 2 lies 1.5 off the mean of 2 and 5.
	r.wantStored(`{station="tq"} @1782863400000 water_level_meters=2.2/1
{station="tq"} @1782862800000 water_level_meters=5/1
{station="tq"} @1782862200000 water_level_meters=2/3
{station="tq"} @1782861600000 water_level_meters=2/1
{station="tq"} @1782863100000 water_level_meters=-9999/4
`)
}

func TestStoreFails(t *testing.T) {
	r := newRig(t, Options{})
	full := quantrac.Errorf(quantrac.Unavailable, "disk full: readings are refused")
	if err := r.obs("d1", `{"time":1782863400000,"values":{"water_level_meters":2}}`); err != nil {
		t.Fatal(err)
	}
	r.store.set(func(*quantrac.Batch) error { return full })
	jump := `{"time":1782863410000,"values":{"water_level_meters":5,"x":1}}`
	if err := r.obs("d1", jump); !errors.Is(err, full) || DealtWith(err) {
		t.Fatalf("acknowledged with %v", err)
	}
	r.wantLetters("") // or each attempt would leave one
	r.store.set(nil)
	// Sent again, it is judged as it was the first time: a jump of 3 m in 10 s.
	if err := r.obs("d1", jump); err != nil {
		t.Fatal(err)
	}
	r.wantStored("{station=\"tq\"} @1782863400000 water_level_meters=2/1\n\n{station=\"tq\"} @1782863410000 water_level_meters=5/3\n")
	r.wantLetters("partial d1 v1/d1/obs @1782864000000: row 0, x: no such property is registered for device \"d1\" | " + jump + "\n")
}

func TestDeadLettersFail(t *testing.T) {
	r := newRig(t, Options{})
	r.dead.put = func() error { return quantrac.Errorf(quantrac.Invalid, "letter too large") }
	if err := r.obs("d1", "hello"); err == nil || DealtWith(err) {
		t.Fatalf("acknowledged with %v before its dead letter was durable", err)
	}
}

// A batch that the store finds fault with is taken apart; only the message at
// fault becomes a dead letter.
func TestStoreRefusesABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		hold := make(chan struct{})
		r.store.set(func(b *quantrac.Batch) error {
			<-hold
			for _, row := range b.Rows {
				if row.Cells[0].Value == 3 {
					return quantrac.Errorf(quantrac.Invalid, "row with a 3")
				}
			}
			return nil
		})
		var got []string
		for i := range 6 {
			m := Message{Device: "d1", Topic: "v1/d1/obs", Payload: fmt.Appendf(nil, `{"time":%d,"values":{"water_level_meters":%d}}`, start-sec*quantrac.Millis(600-100*i), i)}
			m.Ack = func(err error) { got = append(got, fmt.Sprintf("%d:%s", i, quantrac.KindOf(err))) }
			if err := r.Take(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is with the store, the others wait behind it
		}
		close(hold)
		synctest.Wait()
		if want := "0:internal 1:internal 2:internal 3:invalid_argument 4:internal 5:internal"; strings.Join(got, " ") != want {
			t.Errorf("acknowledged %v, want %s", got, want)
		}
		if len(r.store.batches) != 5 || len(r.dead.letters) != 1 || r.dead.letters[0].Reason != "the store refuses it: store 1 rows of device \"d1\": row with a 3" {
			t.Errorf("%d batches, letters %s", len(r.store.batches), r.dead.text())
		}
	})
}

func TestQueueIsBoundedAndNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{QueueMessages: 3, QueueBytes: 1000, DrainMessages: 2})
		hold := make(chan struct{})
		r.store.set(func(b *quantrac.Batch) error {
			if b.Rows[0].Group.Station() == "tq" {
				<-hold
			}
			return nil
		})
		var mu sync.Mutex
		var order []int
		taken := 0
		go func() {
			for i := range 10 {
				m := Message{Device: "d1", Topic: "v1/d1/obs", Payload: []byte(`{"values":{"water_level_meters":2}}`)}
				m.Ack = func(err error) {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, i)
				}
				if r.Take(t.Context(), m) == nil {
					mu.Lock()
					taken++
					mu.Unlock()
				}
			}
		}()
		synctest.Wait()
		if taken < 4 || taken > 5 { // one or two with the store, three in the queue
			t.Errorf("%d messages taken while the store stands, want 4 or 5", taken)
		}
		if err := r.obs("d2", `{"values":{"water_level_meters":2}}`); err != nil {
			t.Fatalf("the other device: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Take(ctx, Message{Device: "d1"}); !errors.Is(err, context.Canceled) {
			t.Errorf("Take with a context that has ended: %v", err)
		}
		close(hold)
		synctest.Wait()
		if fmt.Sprint(order) != "[0 1 2 3 4 5 6 7 8 9]" {
			t.Errorf("acknowledged in the order %v", order)
		}
		sizes := ""
		for _, b := range r.store.batches {
			sizes += fmt.Sprint(len(b.Rows))
		}
		if !strings.Contains(sizes, "2") || strings.Contains(sizes, "3") {
			t.Errorf("batches of %s rows, want none above 2 and some of 2", sizes)
		}
	})
}

// The memory of all devices together is bounded, and yet every device gets on.
func TestTotalIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		payload := `{"values":{"rainfall_millimeters":2}}`
		r := newRig(t, Options{TotalBytes: int64(10 * len(payload)), DrainMessages: 1})
		hold := make(chan struct{})
		r.store.set(func(*quantrac.Batch) error { <-hold; return nil })
		const devices, each = 20, 5
		var mu sync.Mutex
		taken, done := 0, 0
		for i := range devices {
			name := fmt.Sprint("c", i)
			r.registry[name] = binding(name, name)
		}
		for i := range devices {
			name := fmt.Sprint("c", i)
			go func() {
				for range each {
					m := Message{Device: name, Topic: "v1/" + name + "/obs", Payload: []byte(payload), Ack: func(err error) {
						mu.Lock()
						defer mu.Unlock()
						if done++; err != nil {
							t.Error(err)
						}
					}}
					if err := r.Take(t.Context(), m); err != nil {
						t.Error(err)
					}
					mu.Lock()
					taken++
					mu.Unlock()
				}
			}()
		}
		synctest.Wait()
		// Of each device one message is with the store and one waits at most.
		if taken < devices || taken > 2*devices {
			t.Errorf("%d messages taken with room for 10", taken)
		}
		close(hold)
		synctest.Wait()
		if done != devices*each || r.memory.used != 0 {
			t.Errorf("%d messages done, want %d; %d bytes are still counted", done, devices*each, r.memory.used)
		}
	})
}

func TestQuantum(t *testing.T) {
	f := func(drain int, active int64, want int) {
		t.Helper()
		c := New(nil, nil, nil, nil, Options{DrainMessages: drain})
		c.active.Store(active)
		if got := c.quantum(); got != want {
			t.Errorf("%d devices, at most %d: %d messages, want %d", active, drain, got, want)
		}
	}
	f(256, 0, 256)
	f(256, 16, 256)
	f(256, 100, 40)
	f(256, 5000, 8)
	f(4, 5000, 4)
}

// What waits behind a batch that failed is given back too, so that it comes
// again in its order.
func TestFailureGivesBackTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{DrainMessages: 1})
		hold, failed := make(chan struct{}), errors.New("sync failed")
		r.store.set(func(*quantrac.Batch) error { <-hold; return failed })
		n := 0
		for range 5 {
			m := Message{Device: "d1", Topic: "v1/d1/obs", Payload: []byte(`{"values":{"water_level_meters":2}}`), Ack: func(err error) {
				if !errors.Is(err, failed) {
					t.Errorf("acknowledged with %v", err)
				}
				n++
			}}
			if err := r.Take(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		close(hold)
		synctest.Wait()
		if n != 5 || len(r.store.batches) != 0 {
			t.Errorf("%d messages given back, %d batches", n, len(r.store.batches))
		}
	})
}

func TestStampOfARedelivery(t *testing.T) {
	r := newRig(t, Options{})
	m := Message{Device: "d1", Topic: "v1/d1/obs", Payload: []byte(`{"values":{"water_level_meters":2}}`), Received: start}
	send := func(at quantrac.Millis, dup bool) {
		t.Helper()
		m.Received, m.Dup = at, dup
		if err := r.send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(start, false)
	send(start+sec, true) // its redelivery
	send(start+2*sec, false)
	send(start+3*sec, true)
	r.wantStored(strings.Join([]string{
		"{station=\"tq\"} @1782864000000 water_level_meters=2/1\n", "{station=\"tq\"} @1782864000000 water_level_meters=2/1\n",
		"{station=\"tq\"} @1782864002000 water_level_meters=2/1\n", "{station=\"tq\"} @1782864002000 water_level_meters=2/1\n",
	}, "\n"))
}

func TestStampsAreBounded(t *testing.T) {
	var st stamps
	for i := range uint64(3 * stampsKept) {
		st.put(i, quantrac.Millis(i))
		st.put(i, quantrac.Millis(i)+1)
	}
	if len(st.at) != stampsKept {
		t.Fatalf("%d stamps kept", len(st.at))
	}
	if got, ok := st.at[3*stampsKept-1]; !ok || got != 3*stampsKept {
		t.Errorf("newest stamp %d, %v", got, ok)
	}
	if _, ok := st.at[2*stampsKept-1]; ok {
		t.Error("an old stamp is still there")
	}
}

func TestWrite(t *testing.T) {
	f := func(w Writing, stations []string, want Written, stored string) *rig {
		t.Helper()
		r := newRig(t, Options{})
		r.t = t
		ctx := quantrac.WithPrincipal(t.Context(), quantrac.Principal{Name: "telegraf", Stations: stations})
		got, err := r.Write(ctx, w)
		if err != nil {
			t.Fatal(err)
		}
		if got.Good != want.Good || got.Bad != want.Bad || got.Strings != want.Strings || got.Rejected != want.Rejected || len(got.Faults) != want.Bad {
			t.Errorf("%q: got %+v, want %+v", w.Lines, got, want)
		}
		r.wantStored(stored)
		return r
	}
	lines := func(ls ...string) []byte { return []byte(strings.Join(ls, "\n")) }
	f(Writing{Lines: lines("m,host=a v=1,s=\"x\" 1000000", "m,host=b v=2 2000000")}, nil, Written{Good: 2, Strings: 1},
		"{host=\"a\"} @1 m_v=1/2\n{host=\"b\"} @2 m_v=2/2\n")
	f(Writing{Lines: lines("m v=1 0", "bad", "m v=2 1000000")}, nil, Written{Good: 2, Bad: 1}, "{} @0 m_v=1/2\n{} @1 m_v=2/2\n")
	f(Writing{Lines: lines("m v=1 0", "bad"), Whole: true}, nil, Written{Good: 1, Bad: 1, Rejected: true}, "")
	f(Writing{Lines: lines("bad")}, nil, Written{Bad: 1}, "")
	f(Writing{Lines: lines("# nothing")}, nil, Written{}, "")
	f(Writing{Lines: lines("m,station=tq v=1 0", "m,station=tc v=1 0", "m v=1 0")}, []string{"tq"}, Written{Good: 1, Bad: 2}, "{station=\"tq\"} @0 m_v=1/2\n")

	// A device writes as itself: bound to its station, judged, quarantined.
	r := f(Writing{Device: "d1", Lines: lines(
		"water level_meters=2 1782863940000000000", "water level_meters=99 1782863950000000000", "other x=1 1782863940000000000",
		"water level_meters=3,depth=1 1782863960000000000", "water level_meters=1 946684800000000000")},
		nil, Written{Good: 3, Bad: 3}, "{station=\"tq\"} @1782863940000 water_level_meters=2/1\n{station=\"tq\"} @1782863950000 water_level_meters=99/4\n{station=\"tq\"} @1782863960000 water_level_meters=3/3\n")
	r.wantLetters("quarantine d1 influx @1782864000000: time lies before the station's installation\n  {station=\"tq\"} @946684800000 offered 1782864000000 water_level_meters=1\n")
	if _, err := r.Write(t.Context(), Writing{Device: "off"}); quantrac.KindOf(err) != quantrac.Denied {
		t.Errorf("a disabled device: %v", err)
	}
	full := quantrac.Errorf(quantrac.Unavailable, "disk full")
	r.store.set(func(*quantrac.Batch) error { return full })
	for _, d := range []string{"", "d1"} {
		if _, err := r.Write(t.Context(), Writing{Device: d, Lines: lines("water level_meters=2 1782863940000000000")}); !errors.Is(err, full) {
			t.Errorf("device %q, store full: %v", d, err)
		}
	}
}

func TestCloseGivesBackWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{DrainMessages: 1})
		hold := make(chan struct{})
		r.store.set(func(*quantrac.Batch) error { <-hold; return nil })
		var got []string
		for range 3 {
			m := Message{Device: "d1", Topic: "v1/d1/obs", Payload: []byte(`{"values":{"water_level_meters":2}}`)}
			m.Ack = func(err error) { got = append(got, quantrac.KindOf(err).String()) }
			if err := r.Take(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- r.Run(ctx) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if err := r.Take(t.Context(), Message{Device: "d2"}); quantrac.KindOf(err) != quantrac.Unavailable {
			t.Errorf("Take while closing: %v", err)
		}
		close(hold)
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if strings.Join(got, " ") != "internal unavailable unavailable" {
			t.Errorf("acknowledged %v", got)
		}
		if _, err := r.Write(t.Context(), Writing{}); quantrac.KindOf(err) != quantrac.Unavailable {
			t.Errorf("Write after Close: %v", err)
		}
	})
}

func TestStrangersAreForgotten(t *testing.T) {
	r := newRig(t, Options{})
	for i := range 50 {
		name := fmt.Sprint("stranger", i)
		if err := r.obs(name, "x"); quantrac.KindOf(err) != quantrac.Denied {
			t.Fatal(err)
		}
	}
	if err := r.obs("d1", `{"values":{"water_level_meters":2}}`); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if _, n := r.waiting(); n != 1 {
		t.Errorf("%d sessions remembered, want that of d1", n)
	}
}

func TestMetrics(t *testing.T) {
	r := newRig(t, Options{})
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(r.Collector)
	_ = r.obs("d1", `{"time":1782863940000,"values":{"water_level_meters":99,"x":1}}`)
	_ = r.obs("d1", `no`)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "/" + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, want := range map[string]float64{
		"quantrac_collector_messages_total/stored": 1, "quantrac_collector_messages_total/refused": 1,
		"quantrac_collector_values_total/fail": 1, "quantrac_collector_values_total/good": 0,
		"quantrac_collector_qc_flags_total/gross_range": 1, "quantrac_collector_dead_letters_total/partial": 1,
		"quantrac_collector_rows_total": 1, "quantrac_collector_commit_seconds": 1, "quantrac_collector_sessions": 1,
		"quantrac_collector_queue_messages": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %v (there: %v), want %v", name, v, ok, want)
		}
	}
}

// Many devices at once, a store that fails now and then, senders that send
// again: in the end everything is there and nothing was acknowledged before.
func TestConcurrentDevices(t *testing.T) {
	r := newRig(t, Options{QueueMessages: 8, DrainMessages: 4})
	const devices, each = 20, 50
	for i := range devices {
		name := fmt.Sprint("c", i)
		r.registry[name] = binding(name, name)
	}
	var mu sync.Mutex
	calls := 0
	r.store.set(func(*quantrac.Batch) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls%7 == 0 {
			return errors.New("sync failed")
		}
		return nil
	})
	var wg sync.WaitGroup
	for i := range devices {
		wg.Go(func() {
			name := fmt.Sprint("c", i)
			for n := range each {
				payload := fmt.Appendf(nil, `{"time":%d,"values":{"rainfall_millimeters":%d}}`, start-mins*quantrac.Millis(each-n), n)
				for {
					done := make(chan error, 1)
					if err := r.Take(context.Background(), Message{Device: name, Topic: "v1/" + name + "/obs", Payload: payload, Ack: func(err error) { done <- err }}); err != nil {
						t.Error(err)
						return
					}
					if <-done == nil {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, b := range r.store.batches {
		for _, row := range b.Rows {
			seen[fmt.Sprint(row.Group, row.Time)] = true
		}
	}
	if len(seen) != devices*each {
		t.Errorf("%d readings stored, want %d", len(seen), devices*each)
	}
}

// An open device may send what nobody has registered, judged where it is known.
func TestOpenDevice(t *testing.T) {
	r := newRig(t, Options{})
	r.registry["d1"].Open = true
	if err := r.obs("d1", `{"time":1782863940000,"values":{"water_level_meters":-9999,"battery_volts":3.6}}`); err != nil {
		t.Fatal(err)
	}
	r.wantStored("{station=\"tq\"} @1782863940000 water_level_meters=-9999/4 battery_volts=3.6/2\n")
	r.wantLetters("")
}
