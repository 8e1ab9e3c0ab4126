package dashboards

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quantrac/internal/shared"
)

// browser drives a headless Chromium through its debugging protocol
// (chromedevtools.github.io/devtools-protocol): no driver, no download.
type browser struct {
	t     *testing.T
	in    *os.File // its commands
	shots string   // folder for pictures, "" for none

	mu      sync.Mutex
	next    int
	waiting map[int]chan json.RawMessage
	faults  []string // what the page complained of, console errors and exceptions
	hosts   map[string]bool
}

// newBrowser starts Chromium with one empty page.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	bin := shared.Tool(t, "chromium", "chromium-browser", "google-chrome")
	// Chromium is driven through pipes, of which it holds the other ends: when
	// this process ends, however it ends, Chromium does too.
	commands, toBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromBrowser, answers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{commands, answers} // 3 and 4, as it expects them
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	commands.Close()
	answers.Close()
	b := &browser{t: t, in: toBrowser, shots: *shotsDir, waiting: map[int]chan json.RawMessage{}, hosts: map[string]bool{}}
	read := make(chan struct{})
	go func() { b.read(fromBrowser); close(read) }()
	t.Cleanup(func() { b.close(cmd, read) })
	return b
}

// close ends Chromium and waits for it: it writes to its folder until it ends.
func (b *browser) close(cmd *exec.Cmd, read chan struct{}) {
	b.in.Close()
	end := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait() // killed or not, it is gone
	end.Stop()
	<-read
}

// read takes what Chromium says, each message with a zero byte behind it.
func (b *browser) read(from *os.File) {
	defer from.Close()
	for r := bufio.NewReader(from); ; {
		var m struct {
			ID     int             `json:"id"`
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
			Result json.RawMessage `json:"result"`
			Error  json.RawMessage `json:"error"`
		}
		text, err := r.ReadBytes(0)
		if err != nil || json.Unmarshal(bytes.TrimRight(text, "\x00"), &m) != nil {
			return
		}
		b.mu.Lock()
		switch {
		case m.ID != 0 && b.waiting[m.ID] != nil:
			if m.Error != nil {
				m.Result = append(json.RawMessage("ERROR "), m.Error...)
			}
			b.waiting[m.ID] <- m.Result
			delete(b.waiting, m.ID)
		case m.Method == "Runtime.exceptionThrown" || m.Method == "Log.entryAdded":
			if m.Method == "Runtime.exceptionThrown" || strings.Contains(string(m.Params), `"level":"error"`) {
				b.faults = append(b.faults, string(m.Params))
			}
		case m.Method == "Network.requestWillBeSent":
			var p struct {
				Request struct{ URL string }
			}
			if json.Unmarshal(m.Params, &p) == nil {
				b.hosts[p.Request.URL] = true
			}
		}
		b.mu.Unlock()
	}
}

func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.faults)
}

// tab is one page of the browser.
type tab struct {
	*browser
	session string
}

// tab opens a page of a size, in light or dark.
func (b *browser) tab(width, height int, scheme string) *tab {
	b.t.Helper()
	var made struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &made)
	var att struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &att)
	tb := &tab{b, att.SessionID}
	for _, m := range []string{"Page.enable", "Runtime.enable", "Log.enable", "Network.enable"} {
		tb.do(m, nil)
	}
	tb.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
	tb.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}})
	return tb
}

func (t *tab) do(method string, params any) { t.call(t.session, method, params, nil) }

func (b *browser) call(session, method string, params, out any) {
	b.t.Helper()
	ch := make(chan json.RawMessage, 1)
	b.mu.Lock()
	b.next++
	id := b.next
	b.waiting[id] = ch
	msg := map[string]any{"id": id, "method": method, "params": params}
	if params == nil {
		msg["params"] = map[string]any{}
	}
	if session != "" {
		msg["sessionId"] = session
	}
	text, err := json.Marshal(msg)
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case raw := <-ch:
		if strings.HasPrefix(string(raw), "ERROR ") {
			b.t.Fatalf("%s: %s", method, raw)
		}
		if out != nil {
			if err := json.Unmarshal(raw, out); err != nil {
				b.t.Fatalf("%s: %v in %s", method, err, raw)
			}
		}
	case <-time.After(60 * time.Second):
		b.t.Fatalf("%s: no answer from Chromium", method)
	}
}

// open goes to an address and waits until the page shows something.
func (t *tab) open(url string) {
	t.t.Helper()
	t.do("Page.navigate", map[string]any{"url": url})
	t.until("the page of "+url, `document.readyState === 'complete' && location.href !== 'about:blank' && !!document.querySelector('.top, .first [role=alert]')`)
}

// eval runs JavaScript and returns its value as text, with plain spaces.
func (t *tab) eval(js string) string {
	t.t.Helper()
	var out struct {
		Result struct{ Value any }
		Except json.RawMessage `json:"exceptionDetails"`
	}
	t.call(t.session, "Runtime.evaluate", map[string]any{"expression": js, "returnByValue": true, "awaitPromise": true}, &out)
	if out.Except != nil {
		t.t.Fatalf("in the page: %s: %s", js, out.Except)
	}
	return strings.ReplaceAll(fmt.Sprint(out.Result.Value), "\u00a0", " ")
}

// until waits for a condition in the page.
func (t *tab) until(what, js string) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for t.eval(js) != "true" {
		select {
		case <-ctx.Done():
			t.t.Fatalf("%s: did not come about; the page complains %q and says:\n%s", what, t.complaints(), t.eval("document.body.innerText"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// shot saves a picture, where pictures are wanted.
func (t *tab) shot(name string) {
	t.t.Helper()
	if t.shots == "" {
		return
	}
	var out struct{ Data string }
	t.call(t.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &out)
	raw, err := base64.StdEncoding.DecodeString(out.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(t.shots, name+".png"), raw, 0o644)
	}
	if err != nil {
		t.t.Fatalf("screenshot %s: %v", name, err)
	}
}

// wait polls for a condition outside the page.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(60 * time.Second)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("%s: did not come about", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
