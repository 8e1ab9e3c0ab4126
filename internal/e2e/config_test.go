package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// configured writes a configuration file and returns its path.
func configured(t *testing.T, text string) string {
	t.Helper()
	return file(t, "quantrac.yaml", text)
}

// says wants an exit status and every text among what was said on stderr.
func (r ran) says(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("nothing of %q on stderr:\n%s", text, r.stderr)
		}
	}
	if code == 0 && r.stderr != "" {
		t.Errorf("all went well, and stderr says %q", r.stderr)
	}
}

// TestUsage: a command line that cannot be understood is told apart from what
// fails, by its exit status and by the way to the help.
func TestUsage(t *testing.T) {
	t.Parallel()
	for args, text := range map[string]string{
		"":                                       `expected one of "serve"`,
		"bogus":                                  "bogus",
		"serve":                                  "--data=DIR",
		"serve --bogus":                          "unknown flag --bogus",
		"serve --data d --dev=perhaps":           "perhaps",
		"serve --data d --clock sundial":         `"system","replay"`,
		"serve --data d --silence-hold 30":       "--silence-hold",
		"simulate":                               "--mqtt=URL",
		"simulate --mqtt mqtt://h --days many":   "--days",
		"replay --mqtt mqtt://h":                 "--file=FILE.csv",
		"replay --mqtt mqtt://h --file f --up":   "unknown flag --up",
		"station":                                `"import", "list"`,
		"station import":                         "<file>",
		"station list --yaml":                    "unknown flag --yaml",
		"config":                                 `"check", "print"`,
		"config check --data d --min-free-bytes": "--min-free-bytes",
		"version --bogus":                        "unknown flag --bogus",
	} {
		quantracRun(t, nil, strings.Fields(args)...).says(t, 2, text, "--help")
	}
}

// TestHelp: every command explains itself, on stdout.
func TestHelp(t *testing.T) {
	t.Parallel()
	for command, text := range map[string]string{
		"": "Commands:", "serve": "--webhook-private", "simulate": "--seed", "replay": "--drive-clock",
		"station": "station import", "station import": "--dry-run", "station list": "--json",
		"config": "config print", "config check": "--config", "config print": "--config", "version": "--log-level",
	} {
		got := quantracRun(t, nil, append(strings.Fields(command), "--help")...)
		got.says(t, 0)
		if want := strings.TrimSpace("Usage: quantrac " + command); !strings.HasPrefix(got.stdout, want) || !strings.Contains(got.stdout, text) {
			t.Errorf("help of %q says nothing of %q:\n%s", command, text, got.stdout)
		}
	}
	got := quantracRun(t, nil, "version")
	got.says(t, 0)
	if !strings.HasPrefix(got.stdout, "quantrac ") {
		t.Errorf("version: %q", got.stdout)
	}
}

// TestConfigRefused: what is wrong with a configuration file is said with its
// line, all of it at once, and nobody starts with it.
func TestConfigRefused(t *testing.T) {
	t.Parallel()
	for text, wants := range map[string][]string{
		"data: d\nhtpp: localhost:1\n": {`quantrac.yaml:2: "htpp" is no setting`, "the settings are backup-every, backup-keep-daily"},
		"# one\ndev: maybe\n\nmin-free-bytes: 1.5\nsilence-hold: 3\nsimulate-days: [1]\nclock: sundial\nbase-url:\nhttp:\n  port: 1\n": {
			`quantrac.yaml:2: dev: "maybe" is not true or false`,
			`quantrac.yaml:4: min-free-bytes: "1.5" is not a whole number`,
			`quantrac.yaml:5: silence-hold: "3" is not a length of time`,
			`quantrac.yaml:6: simulate-days: want a number, not a list`,
			`quantrac.yaml:7: clock: "sundial" is none of system, replay`,
			`quantrac.yaml:8: base-url: want text`,
			`quantrac.yaml:10: http: want text, not a list or a table`,
		},
		"retention:\n  - a*=2y,b*=3y\n":    {"quantrac.yaml:2: retention", "want a list of texts without commas"},
		"config: other.yaml\nhelp: true\n": {`1: "config" is no setting`, `2: "help" is no setting`},
		"data: d\n\thttp: x\n":             {"quantrac.yaml", "line 2", "tab"},
		"data: d\ndata: e\n":               {"quantrac.yaml:2: data is set a second time, the first time in line 1"},
		"- data\n":                         {"quantrac.yaml:1: want lines of the form SETTING: VALUE"},
		"data: d\n---\nbogus: 1\n":         {"quantrac.yaml: want one YAML document"},
	} {
		path := configured(t, text)
		quantracRun(t, nil, "config", "check", "--data", t.TempDir(), "--config", path).says(t, 1, wants...)
		quantracRun(t, nil, "serve", "--data", t.TempDir(), "--config", path).says(t, 1, wants...)
	}
	away := filepath.Join(t.TempDir(), "away.yaml")
	quantracRun(t, nil, "config", "check", "--data", "d", "--config", away).says(t, 1, away, "no such file")
	quantracRun(t, []string{"QUANTRAC_MIN_FREE_BYTES=lots"}, "config", "check", "--data", "d").says(t, 2, "lots", "QUANTRAC_MIN_FREE_BYTES")
}

// TestSettingsRefused: settings that can be read and cannot work.
func TestSettingsRefused(t *testing.T) {
	t.Parallel()
	for args, text := range map[string]string{
		"--trusted-proxies proxy.example":               `trusted-proxies: "proxy.example": want an address`,
		"--http localhost":                              `http: "localhost": write HOST:PORT`,
		"--http ::1:8420":                               "IPv6 hosts in brackets",
		"--mqtt localhost:99999":                        `mqtt: "localhost:99999": "99999" is no port`,
		"--dev --http 0.0.0.0:8420":                     "http: 0.0.0.0:8420 is reachable from other machines",
		"--dev --http :8420":                            "http: :8420 is reachable from other machines",
		"--dev --mqtt [::]:1883":                        "mqtt: [::]:1883 is reachable from other machines",
		"--dev --mqtt 192.0.2.1:1883":                   "mqtt: 192.0.2.1:1883 is reachable from other machines",
		"--simulate":                                    "simulate: wants --dev",
		"--dev --simulate --mqtt off":                   "simulate: wants the embedded broker",
		"--clock replay":                                "clock: replay wants --dev",
		"--silence-hold=-1s":                            "silence-hold",
		"--mqtt-broker 192.0.2.1:1883":                  "mqtt-broker",
		"--mqtt-broker http://192.0.2.1":                `mqtt-broker: "http://192.0.2.1": scheme "http"`,
		"--base-url quantrac.example.vn":                `base-url: "quantrac.example.vn": write https://HOST`,
		"--base-url mqtt://quantrac.example.vn":         "write https://HOST",
		"--base-url https://:8420":                      "write https://HOST",
		"--mqtt-broker mqtt://an:geheim@192.0.2.1:1883": "mqtt-broker: mqtt://an:xxxxx@192.0.2.1:1883: leave the password out",
	} {
		dir := filepath.Join(t.TempDir(), "data")
		for _, command := range []string{"config check", "config print", "serve"} {
			all := append(strings.Fields(command), "--data", dir)
			got := quantracRun(t, nil, append(all, strings.Fields(args)...)...)
			got.says(t, 1, text)
			if strings.Contains(got.stderr, "geheim") {
				t.Errorf("%s shows a password: %s", command, got.stderr)
			}
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("with %s the data folder was made: %v", args, err)
		}
	}
}

// TestConfigPrint: what is printed is what would be run with; a flag beats the
// environment, which beats the file; and what is printed can be run with.
func TestConfigPrint(t *testing.T) {
	t.Parallel()
	path := configured(t, `data: "0815"
mqtt: off
http: "[::1]:8421"
public-page: false
min-free-bytes: 0x100
simulate-days: 2.5
silence-hold: 1h30m
log-format: json
cap-sender: yes
mqtt-broker: mqtt://an@192.0.2.1
mqtt-broker-password: geheim
retention:
  - battery_*=2y
  - "signal_*=90d"
`)
	wants := func(got ran, lines ...string) {
		t.Helper()
		got.says(t, 0)
		for _, line := range lines {
			if !strings.Contains("\n"+got.stdout, "\n"+line+"\n") {
				t.Errorf("no line %s in\n%s", line, got.stdout)
			}
		}
		if strings.Contains(got.stdout, "geheim") {
			t.Errorf("the password is printed:\n%s", got.stdout)
		}
	}
	printed := quantracRun(t, nil, "config", "print", "--config", path)
	wants(printed, `data: "0815"`, `mqtt: "off"`, `http: '[::1]:8421'`, "public-page: false", "min-free-bytes: 256", "simulate-days: 2.5",
		"silence-hold: 1h30m0s", "log-format: json", "log-level: info", `cap-sender: "yes"`, "clock: system", "mqtt-broker: mqtt://an@192.0.2.1",
		"retention:\n  - battery_*=2y\n  - signal_*=90d", "# mqtt-broker-password is set, and left out here as a secret")
	again := quantracRun(t, nil, "config", "print", "--config", configured(t, printed.stdout))
	if _, rest, _ := strings.Cut(printed.stdout, "\n"); again.stdout != rest || again.code != 0 {
		t.Errorf("printed\n%s\nand read again, %d\n%s%s", printed.stdout, again.code, again.stdout, again.stderr)
	}
	env := []string{"QUANTRAC_CONFIG=" + path, "QUANTRAC_HTTP=localhost:8422", "QUANTRAC_PUBLIC_PAGE=true", "QUANTRAC_LOG_FORMAT=text"}
	wants(quantracRun(t, env, "config", "print"), `data: "0815"`, "http: localhost:8422", "public-page: true", "log-format: text", "min-free-bytes: 256")
	wants(quantracRun(t, env, "config", "print", "--http", "localhost:8423", "--no-public-page", "--data", "d"), "data: d", "http: localhost:8423", "public-page: false")
	got := quantracRun(t, env, "config", "check")
	got.says(t, 0)
	if !strings.Contains(got.stdout, "good") || strings.Contains(got.stdout, "note") {
		t.Errorf("config check says %q", got.stdout)
	}
	got = quantracRun(t, env, "config", "check", "--http", ":8420")
	got.says(t, 0)
	if !strings.Contains(got.stdout, "note: base-url is not set: links in messages lead to http://") || !strings.Contains(got.stdout, "good") {
		t.Errorf("config check of a service on every address says %q", got.stdout)
	}
}

// TestConfigOfOthers: the file is serve's. In the environment of a command that
// knows a flag of the same name it changes nothing.
func TestConfigOfOthers(t *testing.T) {
	t.Parallel()
	env := []string{"QUANTRAC_CONFIG=" + configured(t, "data: d\nhttp: localhost:1\nbogus: true\n")}
	quantracRun(t, env, "version").says(t, 0)
	quantracRun(t, env, "station", "list", "--http", "http://127.0.0.1:1").says(t, 1, "127.0.0.1:1", "refused")
	env = []string{"QUANTRAC_CONFIG=" + configured(t, "data: d\nhttp: localhost:1\n"), "QUANTRAC_URL=http://127.0.0.1:1"}
	quantracRun(t, env, "station", "list").says(t, 1, "127.0.0.1:1", "refused")
}
