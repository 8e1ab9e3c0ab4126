package promql

import (
	"os/exec"
	"quantrac/internal/shared"
	"strings"
	"testing"
)

// TestPromtool asks with Prometheus' own command-line client, where it is
// installed.
func TestPromtool(t *testing.T) {
	promtool := shared.Tool(t, "promtool") // Debian: prometheus
	e, clock := openFixture(t)
	c := newClient(t, e, clock, Options{})
	f := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"query"}, args...)
		out, err := exec.Command(promtool, args...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); got != want {
			t.Errorf("promtool %s: %v\n got %s\nwant %s", strings.Join(args, " "), err, got, want)
		}
	}
	now := at(testNow)
	tq := `water_level_meters{commune="Xã Mới", river="Tiền", station="tq", station_name="Tân Quới"}`
	f(`scalar: 2 @[1795392000]`, "instant", "--time", now, c.url, "1+1")
	f(tq+` => 2.44 @[1795392000]`, "instant", "--time", now, c.url, "water_level_meters")
	f(tq+" =>\n2.38 @["+at(testNow-hour)+"]\n2.44 @["+now+"]", "range", "--start", at(testNow-hour), "--end", now, "--step", "1h", c.url, `water_level_meters{river="Tiền"}`)
	f(`{__name__="insect_catch", commune="Xã Mới", species="rầy nâu", station="trap", station_name="Bẫy đèn 1"}`, "series", "--match", "insect_catch", c.url)
	f("Xã Cũ\nXã Mới", "labels", c.url, "commune")
	f("query error: bad_data: invalid parameter \"query\": 1:3: parse error: unexpected end of input", "instant", c.url, "1+")
}
