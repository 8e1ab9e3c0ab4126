package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// patience bounds every wait: far beyond what a busy machine needs, so that it
// ends a hang and measures nothing.
const patience = 90 * time.Second

var binary struct { // built once for all tests of the package
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	// A shell that starts us in the background has interrupts ignored, by us and by
	// whom we start. What we catch they do not inherit.
	if signal.Ignored(os.Interrupt) {
		signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	}
	nextPort.Store(20_000 + rand.Int32N(8_000)) // others may test beside us
	code := m.Run()
	if binary.dir != "" {
		os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

// quantracBinary builds the program under test.
func quantracBinary(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.err = seeSources(); binary.err != nil {
			return
		}
		if binary.dir, binary.err = os.MkdirTemp("", "quantrac-e2e"); binary.err != nil {
			return
		}
		binary.path = filepath.Join(binary.dir, "quantrac")
		out, err := exec.Command("go", "build", "-o", binary.path, "quantrac/cmd/quantrac").CombinedOutput()
		if err != nil {
			binary.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// seeSources looks into every folder of the module. The go command knows from
// that what these tests depend on; it would take results of an older program
// from its cache, as nothing of the program is imported here.
func seeSources() error {
	return filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 2 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		return err
	})
}

// service is one run of the binary's serve, or of another verb that lasts.
type service struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  *logBuffer
	http string // base URL
	mqtt string // URL
	done chan struct{}
	err  error // of Wait; read after done
}

// logBuffer keeps what the process printed, for the test's own log on failure.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// nextPort is where freePort looks next: below what systems give to whoever
// asks for any port, so that nobody takes one between here and its use.
var nextPort atomic.Int32

// freePort returns a loopback port that is free now, and no other test's.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := int(nextPort.Add(1))
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// launch starts the service on ports of its own, or those given, without
// waiting for it.
func launch(t testing.TB, dir string, httpPort, mqttPort int, args ...string) *service {
	t.Helper()
	return launchWith(t, 0, dir, httpPort, mqttPort, args...)
}

// launchWith is launch for a service that may have so many files open, 0 for as
// many as we.
func launchWith(t testing.TB, files int, dir string, httpPort, mqttPort int, args ...string) *service {
	t.Helper()
	if httpPort == 0 {
		httpPort = freePort(t)
	}
	if mqttPort == 0 {
		mqttPort = freePort(t)
	}
	args = append([]string{
		"serve", "--data", dir, "--http", fmt.Sprintf("127.0.0.1:%d", httpPort), "--mqtt", fmt.Sprintf("127.0.0.1:%d", mqttPort),
	}, args...)
	cmd := exec.Command(quantracBinary(t), args...)
	if files > 0 {
		cmd = exec.Command("sh", append([]string{"-c", `ulimit -n "$0" && exec "$@"`, fmt.Sprint(files), quantracBinary(t)}, args...)...)
	}
	s := spawnCommand(t, cmd)
	s.http = fmt.Sprintf("http://127.0.0.1:%d", httpPort)
	s.mqtt = fmt.Sprintf("mqtt://127.0.0.1:%d", mqttPort)
	return s
}

// spawn starts the program; the test's end ends it.
func spawn(t testing.TB, args ...string) *service {
	t.Helper()
	return spawnCommand(t, exec.Command(quantracBinary(t), args...))
}

func spawnCommand(t testing.TB, cmd *exec.Cmd) *service {
	t.Helper()
	s := &service{t: t, log: &logBuffer{}, done: make(chan struct{}), cmd: cmd}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() || os.Getenv("QUANTRAC_E2E_LOG") != "" {
			text := s.log.String()
			if len(text) > 6000 {
				text = "…" + text[len(text)-6000:]
			}
			t.Logf("service log:\n%s", text)
		}
	})
	return s
}

// start launches the service and waits until it is ready.
func start(t testing.TB, dir string, args ...string) *service {
	t.Helper()
	s := launch(t, dir, 0, 0, args...)
	s.waitReady()
	return s
}

func (s *service) waitReady() {
	s.t.Helper()
	eventually(s.t, "service ready", func() error {
		select {
		case <-s.done:
			s.t.Fatalf("service ended: %v\n%s", s.err, s.log)
		default:
		}
		resp, err := http.Get(s.http + "/-/ready")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	})
}

// kill ends the process as a power cut would end it, and waits.
func (s *service) kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.done
}

// stop asks the process to end and waits for it.
func (s *service) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if err := s.ended(); err != nil {
		s.t.Fatalf("service ended with %v\n%s", err, s.log)
	}
}

func (s *service) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// ended waits for the end of the process and returns how it ended.
func (s *service) ended() error {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatalf("%v has not ended\n%s", s.cmd.Args, s.log)
	}
	return s.err
}

// logged waits until the process has said something.
func (s *service) logged(text string) {
	s.t.Helper()
	eventually(s.t, "log", func() error {
		if log := s.log.String(); !strings.Contains(log, text) {
			return fmt.Errorf("nothing of %q in %s", text, log)
		}
		return nil
	})
}

// eventually retries until f succeeds.
func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// call makes a request and returns status and body.
func call(ctx context.Context, method, target, contentType string, body io.Reader) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return 0, nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// must makes a request that has to answer with the status wanted.
func (s *service) must(method, path, contentType, body string, want int) []byte {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	status, b, err := call(ctx, method, s.http+path, contentType, strings.NewReader(body))
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if status != want {
		s.t.Fatalf("%s %s: status %d, want %d: %s", method, path, status, want, b)
	}
	return b
}

// sample is one result of a query.
type sample struct {
	Metric map[string]string
	Value  [2]any
	Values [][2]any
}

// query runs a PromQL query; params are further name, value pairs.
func (s *service) query(path, expr string, params ...string) ([]sample, error) {
	form := url.Values{"query": {expr}}
	for i := 0; i+1 < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	status, b, err := call(ctx, "POST", s.http+path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []sample }
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return nil, fmt.Errorf("status %d: %w: %s", status, err, b)
	}
	if answer.Status != "success" {
		return nil, errors.New(answer.Error)
	}
	return answer.Data.Result, nil
}

// device connects an MQTT device.
func (s *service) device(id string) mqtt.Client {
	s.t.Helper()
	c := mqtt.NewClient(deviceOptions(s.mqtt, id))
	t := c.Connect()
	if !t.WaitTimeout(patience) || t.Error() != nil {
		s.t.Fatalf("connect %s: %v", id, t.Error())
	}
	s.t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func deviceOptions(broker, id string) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker(strings.Replace(broker, "mqtt://", "tcp://", 1)).SetClientID(id).SetUsername(id).
		SetCleanSession(false).SetAutoReconnect(true).SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond).
		SetMaxReconnectInterval(200 * time.Millisecond).SetConnectTimeout(5 * time.Second).SetOrderMatters(false)
}

// publish sends with QoS 1 and waits for the acknowledgement.
func (s *service) publish(c mqtt.Client, topic, payload string) {
	s.t.Helper()
	t := c.Publish(topic, 1, false, payload)
	if !t.WaitTimeout(patience) || t.Error() != nil {
		s.t.Fatalf("publish to %s: %v", topic, t.Error())
	}
}
