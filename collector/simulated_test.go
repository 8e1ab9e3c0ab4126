package collector

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"quantrac"
)

const (
	madeUpObs  = `{"time":1782863940000,"simulated":true,"values":{"water_level_meters":2}}`
	measured   = `{"time":1782863950000,"values":{"water_level_meters":3}}`
	madeUpLine = "water,simulated=true level_meters=2 1782863940000000000\nwater level_meters=3 1782863950000000000\n"
)

// TestMadeUp: what is made up is taken for a station that is registered as
// simulated, and leaves no label; among the readings of another it does not go,
// whichever way it comes.
func TestMadeUp(t *testing.T) {
	f := func(simulated bool, send func(r *rig) error, stored, refused string) {
		t.Helper()
		r := newRig(t, Options{})
		r.registry["d1"].Simulated = simulated
		err := send(r)
		r.wantStored(stored)
		if text := r.dead.text() + fmt.Sprint(err); strings.Count(text, "not registered as simulated") == 0 != (refused == "") || !strings.Contains(text, refused) {
			t.Errorf("refused %q, want %q", text, refused)
		}
	}
	obs := func(r *rig) error { return r.obs("d1", "["+madeUpObs+","+measured+"]") }
	line := func(r *rig) error {
		return r.send(Message{Device: "d1", Topic: "v1/d1/line", Payload: []byte(madeUpLine)})
	}
	write := func(device, lines string) func(r *rig) error {
		return func(r *rig) error {
			got, err := r.Write(t.Context(), Writing{Device: device, Lines: []byte(lines)})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Errorf("%v", got.Faults)
		}
	}
	open := strings.ReplaceAll(strings.ReplaceAll(madeUpLine, "water,", "water,station=tq,"), "water level", "water,station=tq level")
	const both = "{station=\"tq\"} @1782863940000 water_level_meters=2/1\n{station=\"tq\"} @1782863950000 water_level_meters=3/3\n"
	const one = "{station=\"tq\"} @1782863950000 water_level_meters=3/1\n"
	const why = `it is simulated, and station "tq" is not registered as simulated`
	for _, send := range []func(r *rig) error{obs, line, write("d1", madeUpLine)} {
		f(true, send, both, "")
		f(false, send, one, why)
	}
	f(true, write("", open), "{station=\"tq\"} @1782863940000 water_level_meters=2/1\n{station=\"tq\"} @1782863950000 water_level_meters=3/1\n", "")
	f(false, write("", open), one, why)
	f(false, write("", "m,simulated=true,station=elsewhere v=1 0"), "{simulated=\"true\", station=\"elsewhere\"} @0 m_v=1/2\n", "")
}

// markingRegistry marks stations, as one on a developer's machine does.
type markingRegistry struct {
	fakeRegistry
	mu     sync.Mutex
	marks  map[string]*quantrac.Binding // by device
	marked int
}

func (r *markingRegistry) Binding(device string) (*quantrac.Binding, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.marks[device]; b != nil {
		return b, true
	}
	return r.fakeRegistry.Binding(device)
}

func (r *markingRegistry) MarkSimulated(device string) (*quantrac.Binding, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := *r.fakeRegistry[device]
	b.Simulated = true
	r.marks[device] = &b
	r.marked++
	return &b, true
}

func TestMadeUpMarksItsStation(t *testing.T) {
	r := newRig(t, Options{})
	marking := &markingRegistry{fakeRegistry: r.registry, marks: map[string]*quantrac.Binding{}}
	r.Collector = New(r.store, marking, r.dead, r.clock, Options{})
	t.Cleanup(func() { r.Close() })
	for _, payload := range []string{measured, madeUpObs, madeUpObs} {
		if err := r.obs("d1", payload); err != nil {
			t.Fatal(err)
		}
	}
	if b, _ := marking.Binding("d1"); marking.marked != 1 || !b.Simulated {
		t.Errorf("marked %d times, want once", marking.marked)
	}
	r.wantLetters("")
}
