package proc

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	stat := "42 (a (bad) name) S 1 42 42 0 -1 4194560 9 0 0 0 150 25 0 0 20 0 9 0 100 0 0"
	u, err := parse([]byte(stat), []byte("Name:\ta\nVmPeak:\t 900 kB\nVmHWM:\t  512 kB\nVmRSS:\t 400 kB\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Usage{CPU: 1750 * time.Millisecond, PeakRSS: 512 << 10}); u != want {
		t.Errorf("got %+v, want %+v", u, want)
	}
	for _, bad := range [][2]string{{"42 (a) S 1", "VmHWM:\t 1 kB"}, {stat, "Name:\ta\n"}, {strings.Replace(stat, "150", "x", 1), "VmHWM:\t 1 kB"}} {
		if u, err := parse([]byte(bad[0]), []byte(bad[1])); err == nil {
			t.Errorf("%q and %q read as %+v", bad[0], bad[1], u)
		}
	}
}

// TestUsage burns processor time in a shell and wants it counted, while it runs
// and after its end.
func TestUsage(t *testing.T) {
	p, err := Start(context.Background(), []string{"GREETING=hello"}, "sh", "-c", "echo $GREETING; while :; do :; done")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	for {
		u, err := p.Usage()
		if err != nil {
			t.Fatal(err)
		}
		if u.CPU > 0 && u.PeakRSS > 0 && p.Log() == "hello\n" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.Kill()
	if u, err := p.Usage(); err != nil || u.CPU == 0 || u.PeakRSS == 0 {
		t.Errorf("after its end: %+v, %v", u, err)
	}
	var status *exec.ExitError
	if !errors.As(p.err, &status) || status.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("ended with %v, want killed", p.err)
	}
}

// TestContext wants no process left behind by a context that ends.
func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p, err := Start(ctx, nil, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-p.Done()
}

func TestRun(t *testing.T) {
	if _, err := Run(context.Background(), "sh", "-c", "echo what went wrong; exit 3"); err == nil || !strings.Contains(err.Error(), "what went wrong") {
		t.Errorf("got %v, want the program's own words", err)
	}
}

func TestTail(t *testing.T) {
	var l tail
	for range 10 {
		if _, err := l.Write([]byte(strings.Repeat("x", tailBytes/2))); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = l.Write([]byte("end")) // never fails
	if s := l.String(); len(s) != tailBytes || !strings.HasSuffix(s, "end") || len(l.buf) > 2*tailBytes {
		t.Errorf("%d bytes of %d kept, ending in %q", len(s), len(l.buf), s[len(s)-5:])
	}
}
