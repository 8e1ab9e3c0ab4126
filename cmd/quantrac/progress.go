package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows how far long work has come: in place on a terminal, and a
// line every ten seconds elsewhere, so that a log is not flooded.
type progress struct {
	out   io.Writer
	what  string
	total int64
	tty   bool
	last  time.Time
}

func newProgress(out io.Writer, what string, total int64) *progress {
	f, ok := out.(*os.File)
	tty := false
	if ok {
		info, err := f.Stat()
		tty = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return &progress{out: out, what: what, total: max(total, 1), tty: tty, last: time.Now()}
}

func (p *progress) at(n int64) { p.say(n, func() string { return "" }) }

// say is at with more words, which are asked for when something is shown.
func (p *progress) say(n int64, more func() string) {
	n = min(n, p.total)
	every := 10 * time.Second
	if p.tty {
		every = 200 * time.Millisecond
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	start, end := "", "\n"
	if p.tty {
		start, end = "\r\x1b[K", ""
	}
	fmt.Fprintf(p.out, "%s%s: %d %%%s%s", start, p.what, 100*n/p.total, more(), end)
}

func (p *progress) done() {
	start := ""
	if p.tty {
		start = "\r\x1b[K"
	}
	fmt.Fprintf(p.out, "%s%s: done\n", start, p.what)
}
