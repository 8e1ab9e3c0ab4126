package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"quantrac/internal/shared"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// mosquittoPub publishes one message with QoS 1 as a device, by the client that
// people have at hand, and returns what it printed once it is acknowledged. An
// empty payload is a message without one.
func (s *service) mosquittoPub(device, topic string, payload []byte, more ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	broker, err := url.Parse(s.mqtt)
	if err != nil {
		s.t.Fatal(err)
	}
	args := []string{"-h", broker.Hostname(), "-p", broker.Port(), "-q", "1", "-i", device, "-u", device, "-t", topic}
	if len(payload) == 0 {
		args = append(args, "-n")
	} else {
		args = append(args, "-s") // standard input
	}
	cmd := exec.CommandContext(ctx, shared.Tool(s.t, "mosquitto_pub"), append(args, more...)...)
	cmd.Stdin = bytes.NewReader(payload)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(strings.TrimSpace(string(out))))
	}
	return string(out), nil
}

// ran is what became of a run of the program.
type ran struct {
	stdout, stderr string
	code           int
}

// quantracRun runs the program to its end; env are NAME=value beside the test's
// own environment.
func quantracRun(t testing.TB, env []string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience) // a long replay takes its time
	defer cancel()
	cmd := exec.CommandContext(ctx, quantracBinary(t), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() < 0) {
		t.Fatalf("quantrac %s: %v\n%s%s", strings.Join(args, " "), err, &out, &msg)
	}
	return ran{out.String(), msg.String(), cmd.ProcessState.ExitCode()}
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// json decodes the answer's body.
func (a answer) json(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("answer %d %q: %v", a.status, a.body, err)
	}
}

// asker makes requests in somebody's name.
type asker struct {
	t      testing.TB
	base   string
	client *http.Client
	header http.Header
}

// nobody is an asker without credentials.
func (s *service) nobody() *asker {
	return &asker{t: s.t, base: s.http, client: &http.Client{Timeout: patience}, header: http.Header{}}
}

// bearer is an asker with an API token.
func (s *service) bearer(token string) *asker {
	a := s.nobody()
	a.header.Set("Authorization", "Bearer "+token)
	return a
}

// try makes a request; a body makes it JSON unless the header says otherwise.
func (a *asker) try(method, path, body string) (answer, error) {
	req, err := http.NewRequest(method, a.base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header = a.header.Clone()
	if body != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, b}, err
}

// do makes a request that must be answered.
func (a *asker) do(method, path, body string) answer {
	a.t.Helper()
	got, err := a.try(method, path, body)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

// want makes a request that must be answered with a status.
func (a *asker) want(status int, method, path, body string) answer {
	a.t.Helper()
	got := a.do(method, path, body)
	if got.status != status {
		a.t.Fatalf("%s %s: status %d, want %d: %.500s", method, path, got.status, status, got.body)
	}
	return got
}

// write sends line protocol with times in milliseconds.
func (a *asker) write(lines string) answer {
	a.t.Helper()
	return a.do("POST", "/write?db=quantrac&precision=ms", lines)
}

// setClock drives the clock of a service that runs with --clock replay.
func (s *service) setClock(at time.Time) {
	s.t.Helper()
	s.must("PUT", "/api/clock", "", at.UTC().Format(time.RFC3339Nano), http.StatusNoContent)
}

// metric returns the value of a metric without labels.
func (s *service) metric(name string) float64 {
	s.t.Helper()
	for line := range strings.Lines(string(s.must("GET", "/metrics", "", "", http.StatusOK))) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				s.t.Fatalf("metric %s: %v", line, err)
			}
			return v
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

// values returns the raw samples of one series of a metric, by time in ms.
func (s *service) values(expr string, within time.Duration, at time.Time) (map[int64]float64, error) {
	res, err := s.query("/api/v1/query", expr+"["+strconv.Itoa(int(within.Seconds()))+"s]", "time", strconv.FormatInt(at.Unix(), 10))
	if err != nil {
		return nil, err
	}
	out := map[int64]float64{}
	for _, r := range res {
		for _, v := range r.Values {
			sec, ok := v[0].(float64)
			text, isText := v[1].(string)
			f, err := strconv.ParseFloat(text, 64)
			if !ok || !isText || err != nil {
				return nil, errors.New("sample of an unknown form")
			}
			out[int64(sec*1000+0.5)] = f
		}
	}
	return out, nil
}

// sender is a device that speaks MQTT itself, packet by packet, so that a test
// can tell an acknowledgement from everything else: a client library also
// calls a publication over when it has taken it up again after a reconnect.
// It sends what is not acknowledged again on every new connection.
type sender struct {
	s      *service
	id     string
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	conn    net.Conn
	losses  int // connections that ended
	pending []*packets.PublishPacket
	acked   int
}

func (s *service) sender(id string) *sender {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := &sender{s: s, id: id, cancel: cancel, ended: make(chan struct{})}
	go d.run(ctx)
	s.t.Cleanup(d.close)
	return d
}

func (d *sender) close() {
	d.cancel()
	d.mu.Lock()
	if d.conn != nil {
		d.conn.Close()
	}
	d.mu.Unlock()
	<-d.ended
}

func (d *sender) run(ctx context.Context) {
	defer close(d.ended)
	for ctx.Err() == nil {
		if err := d.session(ctx); err != nil && ctx.Err() == nil {
			d.mu.Lock()
			d.losses++
			d.mu.Unlock()
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// session is one connection, from CONNECT to its end.
func (d *sender) session(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(d.s.mqtt, "mqtt://"))
	if err != nil {
		return err
	}
	defer conn.Close()
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.ClientIdentifier = "MQTT", 4, d.id
	hello.UsernameFlag, hello.Username = true, d.id
	if err := hello.Write(conn); err != nil {
		return err
	}
	if p, err := packets.ReadPacket(conn); err != nil {
		return err
	} else if ack, ok := p.(*packets.ConnackPacket); !ok || ack.ReturnCode != packets.Accepted {
		return fmt.Errorf("not let in: %v", p)
	}
	d.mu.Lock()
	d.conn = conn
	for _, p := range d.pending {
		if err = p.Write(conn); err != nil {
			break
		}
		p.Dup = true
	}
	d.mu.Unlock()
	for err == nil {
		var p packets.ControlPacket
		if p, err = packets.ReadPacket(conn); err != nil {
			break
		}
		if ack, ok := p.(*packets.PubackPacket); ok {
			d.mu.Lock()
			d.pending = slices.DeleteFunc(d.pending, func(p *packets.PublishPacket) bool { return p.MessageID == ack.MessageID })
			d.acked++
			d.mu.Unlock()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = nil
	return err
}

// publish sends a message with QoS 1, now if there is a connection and with
// the next one otherwise.
func (d *sender) publish(topic, payload string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.TopicName, p.Payload = 1, topic, []byte(payload)
	p.MessageID = uint16(d.acked + len(d.pending) + 1)
	d.pending = append(d.pending, p)
	if d.conn != nil && p.Write(d.conn) == nil { // a broken connection is found by its reader
		p.Dup = true
	}
}

// count returns how many messages are acknowledged and how many connections
// have ended.
func (d *sender) count() (acked, losses int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acked, d.losses
}

// inbox is a webhook receiver that keeps every delivery in the order of
// arrival. While respond is set it answers first.
type inbox struct {
	srv     *httptest.Server
	mu      sync.Mutex
	got     []warning
	bad     []string
	respond func(w http.ResponseWriter) (answered bool)
}

func newInbox(t testing.TB) *inbox {
	in := &inbox{}
	in.srv = httptest.NewServer(in)
	t.Cleanup(in.srv.Close)
	return in
}

// ServeHTTP takes a delivery.
func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.respond != nil && in.respond(w) {
		return
	}
	var m struct{ Data warning }
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.Data.ID == "" {
		in.bad = append(in.bad, "delivery cannot be read")
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	in.got = append(in.got, m.Data)
	w.WriteHeader(http.StatusNoContent)
}

// all returns what has come so far.
func (in *inbox) all() []warning {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]warning(nil), in.got...)
}

// has says whether a warning of a rule and station has come.
func (in *inbox) has(rule, station string) bool {
	for _, w := range in.all() {
		if w.Rule == rule && w.Station == station {
			return true
		}
	}
	return false
}
