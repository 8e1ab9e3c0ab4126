package simnet

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/collector/decode"
)

func at(t *testing.T, s string) quantrac.Millis {
	t.Helper()
	m, err := quantrac.ParseTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNetworkOfThePlan(t *testing.T) {
	count := map[quantrac.Family]int{}
	ids := map[string]bool{}
	for _, s := range Network(1, 1) {
		count[s.Family]++
		if ids[s.ID] {
			t.Errorf("station %s twice", s.ID)
		}
		ids[s.ID] = true
		if !s.Simulated || s.Name == "" || s.Lat < 10 || s.Lat > 11.1 || s.Lon < 105 || s.Lon > 107 {
			t.Errorf("station %+v is not a simulated one of the province", s.Station)
		}
		for _, p := range s.Properties {
			if !quantrac.MetricOf(p.Name).Known {
				t.Errorf("%s measures %s, which nobody has named", s.ID, p.Name)
			}
		}
		for _, p := range s.Thresholds {
			if p.Kind == quantrac.ThresholdAlarm {
				t.Errorf("%s carries an alarm level that no authority has set", s.ID)
			}
		}
	}
	if count[quantrac.FamilyGauge] != 2 || count[quantrac.FamilyLightning] != 16 || count[quantrac.FamilyInsect] != 13 {
		t.Errorf("network has %v, the plan 2 gauges, 16 lightning stations, 13 traps", count)
	}
	if got := len(Network(4, 1)); got != 4*31 {
		t.Errorf("factor 4 gives %d stations, want %d", got, 4*31)
	}
}

func TestSpanIsAPureFunctionOfSeedAndTime(t *testing.T) {
	f := Feed{Stations: Network(1, 7), Seed: 7, Faults: DefaultFaults}
	from := at(t, "2026-10-01T00:00:00Z")
	mid, to := from.Add(7*time.Hour), from.Add(20*time.Hour)
	whole := f.Span(from, to)
	parts := append(f.Span(from, mid), f.Span(mid, to)...)
	if len(whole) != len(parts) {
		t.Fatalf("one span has %d messages, its parts %d", len(whole), len(parts))
	}
	for i := range whole {
		if whole[i].At != parts[i].At || whole[i].Topic != parts[i].Topic || !bytes.Equal(whole[i].Payload, parts[i].Payload) {
			t.Fatalf("message %d differs: %v %s and %v %s", i, whole[i].At, whole[i].Payload, parts[i].At, parts[i].Payload)
		}
	}
}

func TestFaultsAreThere(t *testing.T) {
	f := Feed{Stations: Network(1, 3)[:2], Seed: 3, Faults: DefaultFaults}
	from := at(t, "2026-10-01T00:00:00Z")
	seen := map[string]int{}
	late, fault := 0, 0
	msgs := f.Span(from, from.Add(30*24*time.Hour))
	for _, m := range msgs {
		seen[m.Topic+string(m.Payload)]++
		if bytes.Contains(m.Payload, []byte(":-9999")) || bytes.Contains(m.Payload, []byte(":7999")) {
			fault++
		}
		i := bytes.Index(m.Payload, []byte(`"time":`)) + 7
		valid := quantrac.Millis(0)
		for _, c := range m.Payload[i:] {
			if c < '0' || c > '9' {
				break
			}
			valid = valid*10 + quantrac.Millis(c-'0')
		}
		if m.At.Sub(valid) > 10*time.Minute {
			late++
		}
	}
	dup := 0
	for _, n := range seen {
		dup += n - 1
	}
	full := 2 * 30 * 144
	t.Logf("%d messages of %d readings due: %d late, %d duplicates, %d fault codes", len(msgs), full, late, dup, fault)
	if missing := full - len(seen); missing < full/200 || missing > full/10 {
		t.Errorf("%d of %d readings missing, want about %.0f", missing, full, DefaultFaults.Missing*float64(full))
	}
	if late == 0 || dup == 0 || fault == 0 {
		t.Error("a kind of fault does not happen")
	}
}

func TestSignalsArePlausible(t *testing.T) {
	net := Network(1, 5)
	from := at(t, "2026-01-01T00:00:00Z")
	lo, hi, rise := math.Inf(1), math.Inf(-1), 0.0
	for d := 0; d < 365; d++ {
		for h := 0; h < 24; h++ {
			v := waterLevel(&net[0], 5, from.Add(time.Duration(d*24+h)*time.Hour))
			lo, hi = math.Min(lo, v), math.Max(hi, v)
		}
		a := flood(5, from.Add(time.Duration(d)*24*time.Hour))
		rise = math.Max(rise, flood(5, from.Add(time.Duration(d+1)*24*time.Hour))-a)
	}
	if lo < -1 || hi > 5 || hi-lo < 1 || rise > 0.3 {
		t.Errorf("a year at Tân Quới runs from %.2f to %.2f m, rising at most %.2f m a day", lo, hi, rise)
	}
	// The tide of Vũng Tàu: its range in the months is that of the harmonic constants.
	tlo, thi := math.Inf(1), math.Inf(-1)
	for h := 0; h < 24*60; h++ {
		v := tide(from.Add(time.Duration(h) * time.Hour))
		tlo, thi = math.Min(tlo, v), math.Max(thi, v)
	}
	if thi-tlo < 2.5 || thi-tlo > 4.6 {
		t.Errorf("tide runs over %.2f m, the charted range is about 4.4 m at most", thi-tlo)
	}
	states := [4]int{}
	for d := 0; d < 60; d++ {
		for m := 0; m < 1440; m += 5 {
			for i := range net {
				if net[i].Family == quantrac.FamilyLightning {
					states[int(lightningState(&net[i], 5, at(t, "2026-09-01T00:00:00Z").Add(time.Duration(d*1440+m)*time.Minute)))]++
				}
			}
		}
	}
	if states[1] == 0 || states[2] == 0 || states[3] == 0 || states[0] < 9*(states[1]+states[2]+states[3]) {
		t.Errorf("states over two stormy months: %v", states)
	}
}

// TestEveryReadingSaysSo: every row that the network sends says that it is made
// up, whoever reads it.
func TestEveryReadingSaysSo(t *testing.T) {
	f := Feed{Stations: Network(1, 2), Seed: 2, Faults: DefaultFaults}
	from := at(t, "2026-10-01T00:00:00Z")
	rows := 0
	for _, m := range Bulk(f.Span(from, from.Add(30*time.Hour))) {
		read := func() (decode.Result, error) { return decode.JSON(m.Payload, m.At, decode.Limits{}) }
		if strings.HasSuffix(m.Topic, "/line") {
			read = func() (decode.Result, error) {
				return decode.Lines(m.Payload, decode.Nanoseconds, m.At, decode.Limits{})
			}
		}
		got, err := read()
		if err != nil || len(got.Faults) > 0 {
			t.Fatalf("%s: %v, %v", m.Topic, err, got.Faults)
		}
		for _, r := range got.Rows {
			if rows++; r.Tags.Get(quantrac.LabelSimulated) != "true" {
				t.Fatalf("%s: row %d of %s does not say that it is simulated", m.Topic, r.Index, m.Payload)
			}
		}
	}
	if rows < 10_000 {
		t.Errorf("%d rows", rows)
	}
}

func TestTrapNight(t *testing.T) {
	f := Feed{Stations: Network(1, 2), Seed: 2}
	var trap *Station
	for i := range f.Stations {
		if f.Stations[i].Family == quantrac.FamilyInsect {
			trap = &f.Stations[i]
			break
		}
	}
	f.Stations = []Station{*trap}
	from := at(t, "2026-10-01T00:00:00Z")
	msgs := f.Span(from, from.Add(3*24*time.Hour))
	if len(msgs) != 3 {
		t.Fatalf("%d messages in three days, want one a night", len(msgs))
	}
	for _, m := range msgs {
		if !strings.HasSuffix(m.Topic, "/line") || !bytes.Contains(m.Payload, []byte("insect,simulated=true,species=cyrtorhinus_lividipennis catch=")) {
			t.Errorf("night lacks the natural enemies: %s %s", m.Topic, m.Payload)
		}
	}
}

func TestBulkKeepsEveryRow(t *testing.T) {
	f := Feed{Stations: Network(1, 2), Seed: 2, Faults: DefaultFaults}
	from := at(t, "2026-10-01T00:00:00Z")
	single := f.Span(from, from.Add(12*time.Hour))
	rows := map[string]int{}
	for _, m := range single {
		rows[m.Topic]++
	}
	bulk := Bulk(single)
	for _, m := range bulk {
		if !strings.HasSuffix(m.Topic, "/obs") {
			rows[m.Topic]--
			continue
		}
		var got []json.RawMessage
		if err := json.Unmarshal(m.Payload, &got); err != nil || len(got) > bulkRows {
			t.Fatalf("%s: %v, %d rows: %s", m.Topic, err, len(got), m.Payload)
		}
		rows[m.Topic] -= len(got)
	}
	for topic, n := range rows {
		if n != 0 {
			t.Errorf("%s: %d rows lost", topic, n)
		}
	}
	if len(bulk) > len(single)/20 {
		t.Errorf("%d messages became %d", len(single), len(bulk))
	}
}
