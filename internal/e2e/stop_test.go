package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	quantracv1 "quantrac/api/quantrac/v1"
	"quantrac/api/quantrac/v1/quantracv1connect"
)

// slowWrite is a write over HTTP whose body stops half-way: one of two lines
// has come. The service gives such a request ten seconds once it is told to
// stop; what else it ends takes moments.
type slowWrite struct {
	t    *testing.T
	conn net.Conn
	rest string
}

func (s *service) slowWrite(t *testing.T, station string) *slowWrite {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.http, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("water,station=%s level_meters=%%d %d000\n", station, time.Now().Unix())
	first, rest := fmt.Sprintf(line, 1), strings.Replace(fmt.Sprintf(line, 2), "000\n", "001\n", 1)
	fmt.Fprintf(conn, "POST /write?db=d&precision=ms HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(first)+len(rest))
	w := &slowWrite{t, conn, rest}
	if got := w.read(); !strings.Contains(got, " 100 ") {
		t.Fatalf("the service does not ask for the body: %q", got)
	}
	if _, err := io.WriteString(conn, first); err != nil {
		t.Fatal(err)
	}
	return w
}

// read returns what the service says next, "" at the end of the connection.
func (w *slowWrite) read() string {
	w.t.Helper()
	b := make([]byte, 4096)
	n, err := w.conn.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		w.t.Fatal(err)
	}
	return string(b[:n])
}

// finish sends the rest and wants it acknowledged.
func (w *slowWrite) finish() {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, w.rest); err != nil {
		w.t.Fatal(err)
	}
	if got := w.read(); !strings.HasPrefix(got, "HTTP/1.1 204 ") {
		w.t.Errorf("the write under way is answered %q", got)
	}
}

// stores wants so many values of a station.
func (s *service) stores(station string, want int) {
	s.t.Helper()
	got, err := s.values(fmt.Sprintf(`water_level_meters{station=%q}`, station), time.Hour, time.Now().Add(time.Minute))
	if err != nil || len(got) != want {
		s.t.Errorf("%s has %d values, want %d: %v", station, len(got), want, err)
	}
}

// livePage follows the live stream of the phone page until it is under way;
// the channel is closed at its end.
func livePage(t *testing.T, s *service) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", s.http+"/api/page/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 1<<20)
	for in.Scan() && in.Text() != "event: update" {
	}
	if in.Text() != "event: update" {
		t.Fatalf("no update of the page: %v", in.Err())
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for in.Scan() {
		}
	}()
	return ended
}

// watch follows the warning stream until it is under way; the channel gets why
// it ends.
func watch(t *testing.T, s *service, o ...connect.ClientOption) <-chan error {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(len(o) == 0)
	protocols.SetUnencryptedHTTP2(len(o) > 0)
	client := quantracv1connect.NewWarningServiceClient(&http.Client{Transport: &http.Transport{Protocols: protocols}}, s.http, o...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := client.Watch(ctx, connect.NewRequest(&quantracv1.WatchRequest{}))
	if err != nil || !stream.Receive() {
		t.Fatalf("watch: %v, %v", err, stream.Err())
	}
	ended := make(chan error, 1)
	go func() {
		for stream.Receive() {
		}
		ended <- stream.Err()
	}()
	return ended
}

// awaited returns what comes over a channel, or fails.
func awaited[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s has not come", what)
	}
	return v
}

// TestStop tells a service to stop that has all kinds of clients. Streams end
// at once and say why, a write under way is finished and acknowledged, devices
// are served meanwhile, and what was acknowledged is there afterwards.
func TestStop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir, "--dev")
	idle := &http.Client{Transport: &http.Transport{}} // keeps its connection
	resp, err := idle.Get(s.http + "/-/healthy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Body.Close() != nil {
		t.Fatal(err)
	}
	page := livePage(t, s)
	streams := map[string]<-chan error{"Connect": watch(t, s), "gRPC": watch(t, s, connect.WithGRPC())}
	lost := make(chan error, 1)
	device := mqtt.NewClient(deviceOptions(s.mqtt, "device").SetAutoReconnect(false).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }))
	if token := device.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	write := s.slowWrite(t, "slow")

	s.signal(syscall.SIGTERM)
	s.logged("msg=\"stopping; a second signal ends at once\"")
	awaited(t, "end of the page's stream", page)
	for name, ended := range streams {
		err := awaited(t, "end of the stream", ended)
		if connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "resume after commit") {
			t.Errorf("%s stream ended with %v", name, err)
		}
	}
	eventually(t, "no new connections", func() error { // it says that it stops, and then does
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.http, "http://"))
		if err != nil {
			return nil
		}
		conn.Close()
		return errors.New("it takes one while it stops")
	})
	s.publish(device, "v1/device/obs", fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": 1}}`, time.Now().UnixMilli()))
	write.finish()
	if err := s.ended(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	awaited(t, "end of the device's connection", lost)
	log := s.log.String()
	if !strings.Contains(log, "POST /write") || !strings.Contains(log, "msg=stopped") || strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
		t.Error("the log does not name the write that was waited for, or tells of trouble")
	}
	s = start(t, dir, "--dev")
	s.stores("slow", 2)
	s.stores("device", 1)
}

// TestStopCutsOff: a request that does not end, and a receiver of warnings that
// does not answer, hold a stop up for ten seconds and no more.
func TestStopCutsOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir, "--dev")
	in := newInbox(t)
	asked, released := make(chan struct{}, 10), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release) // before the inbox waits for whom it keeps waiting
	in.respond = func(http.ResponseWriter) bool {
		asked <- struct{}{}
		<-released
		return false
	}
	importStations(s, gaugeHeader+gaugeRow("gauge", [3]float64{1, 2, 3}, 0, 0, time.Minute))
	subscribe(s, in.srv.URL)
	s.nobody().write(fmt.Sprintf("water,station=gauge level_meters=1.5 %d", time.Now().UnixMilli()))
	awaited(t, "delivery of the warning", asked)
	write := s.slowWrite(t, "slow")

	s.signal(syscall.SIGTERM)
	if err := s.ended(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if log := s.log.String(); !strings.Contains(log, `msg="requests cut off: they had not ended in time" requests="POST /write"`) {
		t.Error("the log does not name the request that was cut off")
	}
	if got := write.read(); strings.Contains(got, " 204 ") {
		t.Errorf("half a write is acknowledged: %q", got)
	}
	release()
	s = start(t, dir, "--dev")
	s.stores("gauge", 1)
	eventually(t, "the warning", func() error {
		if !in.has("level", "gauge") {
			return fmt.Errorf("only %v", in.all())
		}
		return nil
	})
}

// TestSecondSignal: whoever does not want to wait signals again.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, second := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		dir := t.TempDir()
		s := start(t, dir, "--dev")
		if got := s.nobody().write(fmt.Sprintf("water,station=kept level_meters=1 %d", time.Now().UnixMilli())); got.status != http.StatusNoContent {
			t.Fatalf("write: %d %s", got.status, got.body)
		}
		s.slowWrite(t, "slow")
		s.signal(syscall.SIGINT)
		s.logged("a second signal ends at once")
		s.signal(second)
		_ = s.ended() // how, the status says
		status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !ok || !status.Signaled() || status.Signal() != second || strings.Contains(s.log.String(), "cut off") {
			t.Errorf("after a second signal it ended with %v", s.err)
		}
		start(t, dir, "--dev").stores("kept", 1)
	}
}

// TestStopWhileStarting: to be told to stop is no failure, whenever it comes.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, "--dev").stop()
	for i := range 12 {
		s := launch(t, dir, 0, 0, "--dev")
		time.Sleep(time.Duration(i) * 15 * time.Millisecond)
		s.signal(syscall.SIGTERM)
		err := s.ended()
		// Before the program has begun the system ends it.
		if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); err != nil && !(ok && status.Signaled() && s.log.String() == "") {
			t.Errorf("told to stop after %d ms it ended with %v\n%s", 15*i, err, s.log)
		}
	}
}
