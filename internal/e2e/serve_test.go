package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"quantrac/internal/shared"
)

// refuses wants a start that fails, and says why.
func refuses(t *testing.T, texts []string, args ...string) {
	t.Helper()
	quantracRun(t, nil, append([]string{"serve"}, args...)...).says(t, 1, texts...)
}

// occupied is an address that somebody else listens on.
func occupied(t *testing.T, network, host string) string {
	t.Helper()
	l, err := net.Listen(network, net.JoinHostPort(host, "0"))
	if err != nil {
		shared.Missing(t, "listen on %s: %v", host, err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestServeRefused: a service that cannot have what it needs ends and names it.
func TestServeRefused(t *testing.T) {
	t.Parallel()
	taken := occupied(t, "tcp", "127.0.0.1")
	dir := t.TempDir()
	refuses(t, []string{"http: listen", taken, "address already in use"}, "--data", dir, "--http", taken, "--mqtt", "127.0.0.1:0")
	refuses(t, []string{"mqtt: listen", taken, "address already in use"}, "--data", dir, "--http", "127.0.0.1:0", "--mqtt", taken)
	_, port, _ := net.SplitHostPort(taken)
	refuses(t, []string{"http: listen", taken, "address already in use"}, "--data", dir, "--http", "localhost:"+port, "--mqtt", "off")

	notDir := file(t, "data", "")
	refuses(t, []string{"data folder: ", notDir, "not a directory"}, "--data", notDir, "--http", "127.0.0.1:0", "--mqtt", "off")
	if os.Getuid() != 0 { // to whom permissions mean something
		locked := filepath.Join(t.TempDir(), "locked")
		if err := os.Mkdir(locked, 0o500); err != nil {
			t.Fatal(err)
		}
		refuses(t, []string{"the data folder " + locked + " must be one that the service may write to"}, "--data", locked, "--http", "127.0.0.1:0", "--mqtt", "off")
	}

	// The folder is none the worse for the failed starts, and has one service.
	s := start(t, dir, "--dev")
	refuses(t, []string{"quantrac: journal " + dir, "open in another process"}, "--data", dir, "--http", "127.0.0.1:0", "--mqtt", "off")
	refuses(t, []string{dir, "open in another process"}, "--data", dir+"/.", "--http", "127.0.0.1:0", "--mqtt", "off")
	s.must("GET", "/-/ready", "", "", 200)
}

// TestServeDamaged: of a damaged folder the start names part and file, each once.
func TestServeDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, "--dev").stop()
	for part, name := range map[string]string{
		"audit": "audit.db", "registry": "registry.db", "accounts": "accounts.db", "engine": "tsdb/manifest",
		"dead letters": "deadletters.db", "alerting": "alerting/alerting.db", "forecast": "forecast.db",
	} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, bytes.Repeat([]byte("bad "), len(whole)/4+1), 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
		got := quantracRun(t, nil, "serve", "--data", dir, "--http", "127.0.0.1:0", "--mqtt", "off")
		got.says(t, 1, "quantrac: "+part, path)
		if strings.Count(got.stderr, path) != 1 || strings.Count(got.stderr, part+": ")+strings.Count(got.stderr, part+" "+dir) != 1 {
			t.Errorf("not named once: %s", got.stderr)
		}
		if err := os.WriteFile(path, whole, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	start(t, dir, "--dev")
}

// TestServeConfigured: serve takes a configuration file, and what config print
// makes of it.
func TestServeConfigured(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	path := configured(t, fmt.Sprintf("data: %s\nhttp: 127.0.0.1:%d\nmqtt: off\ndev: true\nopen-data: true\n", dir, freePort(t)))
	printed := quantracRun(t, nil, "config", "print", "--config", path)
	for _, config := range []string{path, configured(t, printed.stdout)} {
		s := spawn(t, "serve", "--config", config)
		s.http = greeted(s, "page")
		s.waitReady()
		s.must("GET", "/open/stations.geojson", "", "", 200)
		if strings.Contains(s.log.String(), "mqtt://") {
			t.Errorf("with the broker off:\n%s", s.log)
		}
		s.stop()
	}
	if _, err := os.Stat(filepath.Join(dir, "journal")); err != nil {
		t.Errorf("the data folder of the file: %v", err)
	}
}

// greeted waits until the service says where something is to be found.
func greeted(s *service, what string) string {
	s.t.Helper()
	address := ""
	eventually(s.t, "greeting", func() error {
		for line := range strings.Lines(s.log.String()) {
			if words := strings.Fields(line); len(words) == 2 && words[0] == what {
				address = strings.TrimSuffix(words[1], "/")
				return nil
			}
		}
		return fmt.Errorf("no line %q in %s", what, s.log)
	})
	return address
}

// TestIPv6 runs the service on the IPv6 loopback alone: pages, writes,
// mutations of the registry, devices and the other verbs.
func TestIPv6(t *testing.T) {
	t.Parallel()
	occupied(t, "tcp6", "::1") // or there is no IPv6
	s := spawn(t, "serve", "--data", t.TempDir(), "--dev", "--http", "[::1]:0", "--mqtt", "[::1]:0")
	s.http, s.mqtt = greeted(s, "page"), greeted(s, "MQTT")
	if !strings.HasPrefix(s.http, "http://[::1]:") || !strings.HasPrefix(s.mqtt, "mqtt://[::1]:") {
		t.Fatalf("it greets with %s and %s", s.http, s.mqtt)
	}
	s.waitReady()
	path := file(t, "stations.csv", gaugeHeader+gaugeRow("gauge", [3]float64{1, 2, 3}, 0, 0, time.Minute))
	quantracRun(t, nil, "station", "import", path, "--http", s.http).says(t, 0)
	s.publish(s.device("a"), "v1/a/obs", `{"values": {"water_level_meters": 1}}`)
	if _, err := s.mosquittoPub("b", "v1/b/obs", []byte(`{"values": {"water_level_meters": 2}}`)); err != nil {
		t.Error(err)
	}
	if got := s.nobody().write("water,station=c level_meters=3"); got.status != 204 {
		t.Errorf("write: %d %s", got.status, got.body)
	}
	tape := file(t, "d.csv", "time,water_level_meters\n2024-01-01,4\n")
	quantracRun(t, nil, "replay", "--mqtt", s.mqtt, "--file", tape).says(t, 0)
	body := string(s.must("GET", "/api/v1/label/station/values", "", "", 200))
	if !strings.Contains(body, `["a","b","c","d","gauge"]`) { // the gauge by its thresholds
		t.Errorf("stations that came in: %s", body)
	}
}

// TestLocalhost: localhost is both loopback addresses on one port, and is
// refused where somebody has one of them.
func TestLocalhost(t *testing.T) {
	t.Parallel()
	taken := occupied(t, "tcp6", "::1")
	_, port, _ := net.SplitHostPort(taken)
	refuses(t, []string{"http: listen", taken, "address already in use"}, "--data", t.TempDir(), "--http", "localhost:"+port, "--mqtt", "off")
	refuses(t, []string{"mqtt: listen", taken, "address already in use"}, "--data", t.TempDir(), "--http", "127.0.0.1:0", "--mqtt", "localhost:"+port)

	s := spawn(t, "serve", "--data", t.TempDir(), "--dev", "--http", "localhost:0", "--mqtt", "localhost:0")
	_, httpPort, _ := net.SplitHostPort(strings.TrimPrefix(greeted(s, "page"), "http://"))
	_, mqttPort, _ := net.SplitHostPort(strings.TrimPrefix(greeted(s, "MQTT"), "mqtt://"))
	for i, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		s.http, s.mqtt = "http://"+host+":"+httpPort, "mqtt://"+host+":"+mqttPort
		s.waitReady()
		id := "d" + strconv.Itoa(i)
		s.publish(s.device(id), "v1/"+id+"/obs", `{"values": {"water_level_meters": 1}}`)
	}
}
