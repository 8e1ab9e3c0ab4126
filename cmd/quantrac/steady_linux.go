package main

import (
	"os"
	"strings"
	"syscall"
	"time"
)

// clockSynced says whether the kernel holds the machine's clock to be
// synchronised: a daemon has compared it with others.
func clockSynced() bool {
	const unsynchronised = 0x0040 // STA_UNSYNC
	var t syscall.Timex
	_, err := syscall.Adjtimex(&t)
	return err == nil && t.Status&unsynchronised == 0
}

// sleepOf measures how long the machine has been asleep since the call: its
// uptime goes on then, and the time for which it was awake does not.
func sleepOf(awake func() time.Duration) func() time.Duration {
	start, ok := uptime()
	return func() time.Duration {
		now, still := uptime()
		if !ok || !still {
			return 0
		}
		return max(0, now-start-awake())
	}
}

func uptime() (time.Duration, bool) {
	text, err := os.ReadFile("/proc/uptime")
	first, _, _ := strings.Cut(string(text), " ")
	d, perr := time.ParseDuration(first + "s")
	return d, err == nil && perr == nil
}
