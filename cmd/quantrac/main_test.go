package main

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestSecondSignal: once a program has learnt that it is to end, the next signal
// ends it, however soon it comes.
func TestSecondSignal(t *testing.T) {
	const told = "QUANTRAC_TEST_TOLD"
	if os.Getenv(told) != "" {
		ctx := untilTold()
		for range 2 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
			for ctx.Err() == nil {
				runtime.Gosched()
			}
		}
		time.Sleep(time.Minute) // the second signal is on its way
	}
	for range 30 { // it is a race
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecondSignal$")
		cmd.Env = append(os.Environ(), told+"=1")
		err := cmd.Run()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
			t.Fatalf("two signals ended it with %v", err)
		}
	}
}
