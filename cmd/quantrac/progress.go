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
	total int64 // 0 where nobody knows
	tty   bool
	last  time.Time
	shown bool
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
	p.last, p.shown = time.Now(), true
	start, end := "", "\n"
	if p.tty {
		start, end = "\r\x1b[K", ""
	}
	share := "size not known"
	if p.total > 0 {
		share = fmt.Sprintf("%d %%", 100*n/p.total)
	}
	fmt.Fprintf(p.out, "%s%s: %s%s%s", start, p.what, share, more(), end)
}

func (p *progress) done() {
	start := ""
	if p.tty {
		start = "\r\x1b[K"
	}
	fmt.Fprintf(p.out, "%s%s: done\n", start, p.what)
}

// meter shows on stderr how far work has come that may soon be over, and then
// nothing: its share, what else there is to say, and how long it will take if it
// goes on like this.
type meter struct {
	bar    *progress
	total  int64 // of what at counts; 0 where nobody knows
	start  time.Time
	detail func() string
}

func newMeter(what string, total int64, detail func() string) *meter {
	bar := newProgress(os.Stderr, what, total)
	bar.total = total
	return &meter{bar, total, time.Now(), detail}
}

func (m *meter) at(n int64) {
	m.bar.say(n, func() string {
		text := ", " + m.detail()
		if took := time.Since(m.start); 0 < n && n < m.total {
			text += fmt.Sprintf(", about %s left", time.Duration(float64(took)*float64(m.total-n)/float64(n)).Round(time.Second))
		}
		return text
	})
}

// rate says how many of something went by in a second since the start.
func (m *meter) rate(n int64) float64 { return float64(n) / max(time.Since(m.start).Seconds(), 0.001) }

func (m *meter) done() {
	if m.bar.shown {
		m.bar.done()
	}
}
