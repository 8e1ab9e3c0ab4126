package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

const awayBroker = "mqtt://127.0.0.1:1"

// TestReplayRefused: of a recording with a bad row nothing is published, and
// the row is named by line and column.
func TestReplayRefused(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	const head = "time,water_level_meters,note\n2024-01-01T00:00:00Z,1,a\n"
	for name, c := range map[string]struct{ text, want string }{
		"value.csv":     {head + "2024-01-01T00:10:00Z,high,b\n", `value.csv:3: column "water_level_meters": "high" is no number`},
		"infinite.csv":  {head + "# a remark\n2024-01-01T00:10:00Z,inf,b\n", `infinite.csv:4: column "water_level_meters": "inf" is no number`},
		"time.csv":      {head + "yesterday,1,b\n", `time.csv:3: column "time": "yesterday" is none of RFC 3339`},
		"short.csv":     {head + "2024-01-01T00:10:00Z,1\n", "short.csv:3: 2 cells, but the header has 3"},
		"quote.csv":     {head + "2024-01-01T00:10:00Z,\"1,b\n", "quote.csv: parse error on line 3, column 27"},
		"empty.csv":     {"", "empty.csv: is empty; want a header line"},
		"untimed.csv":   {"when,water_level_meters\n1,2\n", "untimed.csv: no time column time, datetime"},
		"unnamed.csv":   {"time,level\n2024-01-01,2\n", "unnamed.csv: no column to publish"},
		"void.csv":      {"time,water_level_meters\n2024-01-01,-\n", "nothing to replay"},
		"plain.csv.gz":  {head, "plain.csv.gz: gzip"},
		"two words.csv": {head, `"two words" cannot be a device's id`},
	} {
		got := quantracRun(t, nil, "replay", "--mqtt", s.mqtt, "--file", file(t, name, c.text))
		got.says(t, 1, c.want)
	}
	quantracRun(t, nil, "replay", "--mqtt", s.mqtt, "--file", "away.csv").says(t, 1, "away.csv", "no such file")
	good := file(t, "good.csv", head)
	for args, want := range map[string]string{
		"--device a --device b": "2 --device for 1 --file",
		"--zone 7":              `--zone "7": write an offset`,
		"--from noon":           "--from",
		"--to noon":             "--to",
		"--speed=-1":            "--speed",
		"--column stage=x":      `--column "stage=x": no such column among time`,
		"--column note":         `--column "note": write NAME=METRIC`,
	} {
		all := append([]string{"replay", "--mqtt", s.mqtt, "--file", good}, strings.Fields(args)...)
		quantracRun(t, nil, all...).says(t, 1, want)
	}
	series := func() string {
		return string(s.must("GET", "/api/v1/label/station/values", "", "", 200))
	}
	if got := series(); !strings.Contains(got, `"data":[]`) {
		t.Errorf("of recordings with errors was published: %s", got)
	}
	quantracRun(t, nil, "replay", "--mqtt", s.mqtt, "--file", good).says(t, 0)
	if got := series(); !strings.Contains(got, `"data":["good"]`) {
		t.Errorf("of a good recording was published: %s", got)
	}
}

// TestBrokerAway: without a broker replay and simulate end and say whom they
// tried.
func TestBrokerAway(t *testing.T) {
	t.Parallel()
	good := file(t, "good.csv", "time,water_level_meters\n2024-01-01,1\n")
	for broker, want := range map[string]string{
		awayBroker:           "tcp://127.0.0.1:1",
		"127.0.0.1:1":        `mqtt: "127.0.0.1:1": write it as mqtt://HOST:PORT`,
		"http://127.0.0.1:1": `mqtt: "http://127.0.0.1:1": scheme "http" is neither mqtt nor mqtts`,
	} {
		quantracRun(t, nil, "replay", "--mqtt", broker, "--file", good).says(t, 1, want)
		quantracRun(t, nil, "simulate", "--mqtt", broker).says(t, 1, want)
	}
	quantracRun(t, nil, "simulate", "--mqtt", awayBroker, "--http", "http://127.0.0.1:1").says(t, 1, "no answer from the service", "http://127.0.0.1:1")
	quantracRun(t, nil, "simulate", "--mqtt", awayBroker, "--missing", "2").says(t, 1, "--missing 2: want a share from 0 to 1")
}

// TestReplayThroughOutage: the broker goes away in the middle of a replay. It
// waits, says so, and ends once every row is acknowledged. A recording may come
// from a spreadsheet, with its mark before the header.
func TestReplayThroughOutage(t *testing.T) {
	t.Parallel()
	const rows = 60
	var b strings.Builder
	b.WriteString("\uFEFFtime,water_level_meters\n")
	for i := range rows {
		fmt.Fprintf(&b, "2024-01-01 00:%02d:00,%d\n", i, i)
	}
	dir, httpPort, mqttPort := t.TempDir(), freePort(t), freePort(t)
	s := launch(t, dir, httpPort, mqttPort, "--dev")
	s.waitReady()
	stored := func() int {
		got, err := s.values(`water_level_meters{station="tape"}`, 2*time.Hour, time.Date(2024, 1, 1, 1, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	replay := spawn(t, "replay", "--mqtt", s.mqtt, "--file", file(t, "tape.csv", b.String()), "--speed", "600")
	eventually(t, "the replay under way", func() error {
		if n := stored(); n < 3 {
			return fmt.Errorf("%d rows are stored", n)
		}
		return nil
	})
	s.kill()
	replay.logged("connection lost")
	s = launch(t, dir, httpPort, mqttPort, "--dev")
	s.waitReady()
	if err := replay.ended(); err != nil {
		t.Fatalf("replay: %v\n%s", err, replay.log)
	}
	if n := stored(); n != rows {
		t.Errorf("%d of %d rows are stored", n, rows)
	}
}

// TestReplayInterrupted: whoever interrupts a replay hears that it is not whole.
func TestReplayInterrupted(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	tape := file(t, "tape.csv", "time,water_level_meters\n2024-01-01,1\n2024-01-02,2\n")
	replay := spawn(t, "replay", "--mqtt", s.mqtt, "--file", tape, "--speed", "1")
	replay.logged("replay: 2 rows")
	replay.signal(syscall.SIGINT)
	if replay.ended(); replay.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(replay.log.String(), "interrupted before the end") {
		t.Errorf("%v\n%s", replay.err, replay.log)
	}
}

// TestSimulate: the made-up network registers itself as such, publishes its
// past, and ends when it is told.
func TestSimulate(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	args := []string{"simulate", "--mqtt", s.mqtt, "--http", s.http, "--days", "0.05"}
	got := quantracRun(t, nil, append(args, "--for", "1ms")...)
	got.says(t, 0)
	got.prints(t, "simulated network: 31 stations", "none of it is an observation")
	list := quantracRun(t, []string{"QUANTRAC_URL=" + s.http}, "station", "list")
	if n := strings.Count(list.stdout, "  true\n"); n != 31 || strings.Contains(list.stdout, "  false\n") {
		t.Errorf("%d stations are told as simulated\n%s", n, list.stdout)
	}
	live := spawn(t, args...)
	live.logged("history: done")
	live.signal(syscall.SIGTERM)
	if err := live.ended(); err != nil {
		t.Errorf("simulate: %v\n%s", err, live.log)
	}
	res, err := s.query("/api/v1/query", `count(last_over_time({station=~"sim_gauge_.*", __name__="water_level_meters"}[2h]))`)
	if err != nil || len(res) != 1 || res[0].Value[1] != "2" {
		t.Errorf("gauges with a reading: %v, %v", res, err)
	}
}
