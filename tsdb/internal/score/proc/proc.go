// Package proc runs a program under measure: how much processor time and memory
// it takes, by what the kernel keeps of it, until it ends by itself, is asked to,
// or is killed as a power cut would.
//
// It reads /proc, as Linux has it. Only the programs and tests below
// tsdb/internal/score may import it.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Usage is what a process has taken so far.
type Usage struct {
	CPU     time.Duration // user and system, of all threads
	PeakRSS int64         // bytes of memory resident at once
}

// Process is a program that was started.
type Process struct {
	cmd  *exec.Cmd
	log  tail
	done chan struct{}
	err  error // how it ended; read after done
}

// Start starts a program. It is killed when the context ends.
func Start(ctx context.Context, env []string, name string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(ctx, name, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Run runs a program to its end and returns what it took.
func Run(ctx context.Context, name string, args ...string) (Usage, error) {
	p, err := Start(ctx, nil, name, args...)
	if err != nil {
		return Usage{}, err
	}
	<-p.done
	if p.err != nil {
		return Usage{}, fmt.Errorf("%s %v: %w\n%s", name, args, p.err, p.Log())
	}
	return p.Usage()
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log returns the end of what the process has printed.
func (p *Process) Log() string { return p.log.String() }

// Usage returns what the process takes, or has taken if it has ended.
func (p *Process) Usage() (Usage, error) {
	select {
	case <-p.done:
		return ended(p.cmd.ProcessState), nil
	default:
		return running(p.cmd.Process.Pid)
	}
}

// Kill ends the process as a power cut would, and waits.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Stop asks the process to end, and waits; what does not end is killed.
func (p *Process) Stop(patience time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("%s did not end within %s of being asked to", p.cmd.Path, patience)
	}
	return nil
}

// ended reads what a process has taken from what its parent was told.
func ended(s *os.ProcessState) Usage {
	u := Usage{CPU: s.UserTime() + s.SystemTime()}
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		u.PeakRSS = r.Maxrss << 10
	}
	return u
}

// ticks is how often a second the kernel counts processor time in /proc.
const ticks = 100

// running reads what a process takes from /proc.
func running(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, err
	}
	return parse(stat, status)
}

// parse reads the files stat and status of a process. The name in stat may have
// spaces and brackets of its own; what counts comes after the last bracket.
func parse(stat, status []byte) (Usage, error) {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 13 {
		return Usage{}, fmt.Errorf("/proc: %d fields after the name in %q", len(f), stat)
	}
	user, err1 := strconv.ParseInt(string(f[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(f[12]), 10, 64)
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	peak := bytes.Fields(rest)
	if len(peak) < 2 {
		return Usage{}, errors.Join(err1, err2, errors.New("/proc: no VmHWM; has the process ended?"))
	}
	kib, err3 := strconv.ParseInt(string(peak[0]), 10, 64)
	return Usage{CPU: time.Duration(user+system) * time.Second / ticks, PeakRSS: kib << 10}, errors.Join(err1, err2, err3)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 16 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf); n > 2*tailBytes {
		t.buf = append(t.buf[:0], t.buf[n-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf[max(len(t.buf)-tailBytes, 0):])
}
