package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quantrac/internal/shared"
)

// outside is a Mosquitto with the configuration that we ship.
type outside struct {
	t    *testing.T
	dir  string
	port string
	cmd  *exec.Cmd
}

// newOutside sets a Mosquitto up for some users, whose passwords are their names,
// and does not start it.
func newOutside(t *testing.T, users ...string) *outside {
	t.Helper()
	o := &outside{t: t, dir: t.TempDir(), port: fmt.Sprint(freePort(t))}
	conf := o.shipped("mosquitto.conf")
	for old, with := range map[string]string{
		"listener 1883 127.0.0.1": "listener " + o.port + " 127.0.0.1",
		"/etc/mosquitto/":         o.dir + "/",
		"/var/lib/mosquitto/":     o.dir + "/",
	} {
		if !strings.Contains(conf, old) {
			t.Fatalf("the configuration that we ship has no %q any more", old)
		}
		conf = strings.ReplaceAll(conf, old, with)
	}
	if os.Getuid() == 0 {
		conf += "user root\n" // or it gives up the folder of the test
	}
	passwd := ""
	for _, u := range users {
		passwd += u + ":" + u + "\n"
	}
	for name, text := range map[string]string{"mosquitto.conf": conf, "quantrac.acl": o.shipped("quantrac.acl"), "quantrac.passwd": passwd} {
		if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(shared.Tool(t, "mosquitto_passwd"), "-U", filepath.Join(o.dir, "quantrac.passwd")).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	return o
}

func (o *outside) shipped(name string) string {
	o.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "mosquitto", name))
	if err != nil {
		o.t.Fatal(err)
	}
	return string(text)
}

// start starts the broker; without memory what it has retained is lost.
func (o *outside) start(memory bool) {
	o.t.Helper()
	if !memory {
		_ = os.Remove(filepath.Join(o.dir, "mosquitto.db")) // there is none before its first end
	}
	o.cmd = exec.Command(shared.Tool(o.t, "mosquitto", "/usr/sbin/mosquitto"), "-c", filepath.Join(o.dir, "mosquitto.conf"))
	if err := o.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(o.stop)
}

func (o *outside) stop() {
	if o.cmd != nil {
		_ = o.cmd.Process.Kill()
		_ = o.cmd.Wait() // it was killed
		o.cmd = nil
	}
}

// retained waits until what a broker retains of warnings is one message that holds
// every text. user reads, with a password if it is not "".
func retained(t *testing.T, what, port, user, password string, texts ...string) {
	t.Helper()
	args := []string{"-h", "127.0.0.1", "-p", port, "-i", user + "-reads", "-u", user, "-t", "v1/warnings/#", "-v", "--retained-only", "-W", "2"}
	if password != "" {
		args = append(args, "-P", password)
	}
	eventually(t, what, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, shared.Tool(t, "mosquitto_sub"), args...).Output() // ends by its time, which is no success
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != 1 {
			return fmt.Errorf("%d messages, %v: %.500s", len(lines), err, out)
		}
		for _, text := range texts {
			if !strings.Contains(lines[0], text) {
				return fmt.Errorf("nothing of %q in %.500q (%v)", text, out, err)
			}
		}
		return nil
	})
}

// TestExternalBroker: warnings are retained on our own broker and on the operator's
// Mosquitto, with the configuration and the access list that we ship, whichever was
// away when they were said and whatever it has forgotten.
func TestExternalBroker(t *testing.T) {
	t.Parallel()
	o := newOutside(t, "quantrac", "gauge", "officer")
	s := start(t, t.TempDir(), "--dev", "--mqtt-broker", "mqtt://quantrac@127.0.0.1:"+o.port, "--mqtt-broker-password", "quantrac")
	importStations(s, gaugeHeader+gaugeRow("gauge", [3]float64{1, 2, 3}, 0, 0, time.Minute))
	own := s.mqtt[strings.LastIndex(s.mqtt, ":")+1:]
	n := 0
	reading := func(v float64) []byte {
		n++
		return fmt.Appendf(nil, `{"time": %d, "values": {"water_level_meters": %g}}`, time.Now().Add(time.Duration(n-100)*time.Second).UnixMilli(), v)
	}
	both := func(when, state, level string) {
		t.Helper()
		want := []string{"v1/warnings/gauge/", `"type":"warning.` + state + `"`, `"level":` + level + ","}
		retained(t, "on our broker, "+when, own, "officer", "", want...)
		retained(t, "on Mosquitto, "+when, o.port, "officer", "officer", want...)
	}
	if got := string(s.must("GET", "/-/ready", "", "", 200)); !strings.Contains(got, "embedded broker") || !strings.Contains(got, "external broker (no connection)") {
		t.Errorf("where warnings are published: %s", got)
	}
	if _, err := s.mosquittoPub("gauge", "v1/gauge/obs", reading(1.5)); err != nil {
		t.Fatal(err)
	}
	retained(t, "on our broker, the other away", own, "officer", "", `"type":"warning.issue"`)
	o.start(true)
	both("once it is there", "issue", "1")

	outsideDevice := &service{t: t, mqtt: "mqtt://127.0.0.1:" + o.port}
	if _, err := outsideDevice.mosquittoPub("gauge", "v1/gauge/obs", reading(2.5), "-P", "gauge"); err != nil {
		t.Fatal(err)
	}
	both("by a device of the external broker", "update", "2")
	if got := string(s.must("GET", "/-/ready", "", "", 200)); !strings.Contains(got, "external broker (connected)") {
		t.Errorf("where warnings are published: %s", got)
	}

	o.stop()
	if _, err := s.mosquittoPub("gauge", "v1/gauge/obs", reading(3.5)); err != nil {
		t.Fatal(err)
	}
	o.start(false)
	both("after it has forgotten everything", "update", "3")
	if _, err := s.mosquittoPub("gauge", "v1/gauge/obs", reading(0.5)); err != nil {
		t.Fatal(err)
	}
	both("at the end", "all_clear", "0")
}
