package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// neighbours are two gauges of one commune, and one of another.
const neighbours = "station,name,family,lat,lon,commune_code,device,property,interval,decimals,threshold_kind,level1,level2,level3,hysteresis,hold\n" +
	"east,Trạm đông,gauge,10.7,105.4,30154,east,water_level_meters,10m,2,theo_doi,1,2,3,0,0s\n" +
	"west,Trạm tây,gauge,10.7,105.3,30154,west,water_level_meters,10m,2,theo_doi,1,2,3,0,0s\n" +
	"south,Trạm nam,gauge,10.3,105.4,30001,south,water_level_meters,10m,2,theo_doi,1,2,3,0,0s\n"

// shelf is what a client that has just come finds retained.
type shelf struct {
	mu    sync.Mutex
	found map[string]string // station and state by topic
	texts map[string][]byte // messages by topic
}

// shelf subscribes anew and gathers.
func (s *service) shelf(filter string) *shelf {
	s.t.Helper()
	sh := &shelf{found: map[string]string{}, texts: map[string][]byte{}}
	c := s.device("display-" + fmt.Sprint(time.Now().UnixNano()))
	t := c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) {
		var msg struct {
			Type string
			Data struct{ Station string }
		}
		_ = json.Unmarshal(m.Payload(), &msg) // an empty one clears
		sh.mu.Lock()
		defer sh.mu.Unlock()
		sh.texts[m.Topic()] = m.Payload()
		if sh.found[m.Topic()] = msg.Data.Station + " " + msg.Type; len(m.Payload()) == 0 {
			delete(sh.found, m.Topic())
		}
	})
	if !t.WaitTimeout(patience) || t.Error() != nil {
		s.t.Fatalf("subscribe to %s: %v", filter, t.Error())
	}
	return sh
}

// holds waits until the shelf holds what is wanted, sorted, each on a topic of
// its own below its area.
func (sh *shelf) holds(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, "warnings on their topics", func() error {
		sh.mu.Lock()
		defer sh.mu.Unlock()
		got := slices.Sorted(maps.Values(sh.found))
		if !slices.Equal(got, want) {
			return fmt.Errorf("found %q, want %q", sh.found, want)
		}
		return nil
	})
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for topic, what := range sh.found {
		station := strings.Fields(what)[0]
		area := cmp.Or(map[string]string{"east": "30154", "west": "30154", "south": "30001"}[station], station)
		if !strings.HasPrefix(topic, "v1/warnings/"+area+"/") {
			t.Errorf("%s is on %s", what, topic)
		}
	}
}

// payloads are the messages found.
func (sh *shelf) payloads() [][]byte {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return slices.Collect(maps.Values(sh.texts))
}

// TestWarningTopics: who subscribes finds every warning that stands, also those
// of two stations of one commune, after the end of one of them, and after a
// restart; an end is there until it expires.
func TestWarningTopics(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data, "--dev", "--clock", "replay")
	s.must("POST", "/api/registry/import?dry_run=false", "text/csv", neighbours, 200)
	begin := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	clock := begin
	read := func(station string, stage float64) {
		t.Helper()
		s.setClock(clock)
		s.publish(s.device(station), "v1/"+station+"/obs", fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": %g}}`, clock.UnixMilli(), stage))
		clock = clock.Add(10 * time.Minute)
	}
	read("east", 1.5)
	read("west", 2.5)
	read("south", 1.5)
	all := s.shelf("v1/warnings/#")
	all.holds(t, "east warning.issue", "south warning.issue", "west warning.issue")
	s.shelf("v1/warnings/30154/#").holds(t, "east warning.issue", "west warning.issue")

	read("west", 0.5)
	all.holds(t, "east warning.issue", "south warning.issue", "west warning.all_clear")
	s.stop()
	s = start(t, data, "--dev", "--clock", "replay")
	s.shelf("v1/warnings/30154/#").holds(t, "east warning.issue", "west warning.all_clear")
	all = s.shelf("v1/warnings/#")
	all.holds(t, "east warning.issue", "south warning.issue", "west warning.all_clear")
	s.setClock(clock.Add(7 * time.Hour))
	all.holds(t, "east warning.issue", "south warning.issue")
	s.shelf("v1/warnings/30154/#").holds(t, "east warning.issue")
}
