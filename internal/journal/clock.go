package journal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strings"

	"quantrac"
	"quantrac/internal/vfs"
)

// ErrClock is what Open returns (wrapped) while the clock stands before the last
// commit.
var ErrClock = errors.New("the clock stands before the last commit")

// Commits made while the clock was far ahead would keep the journal from being
// opened until that time has come. Options.AcceptClock is the way out: it is
// written down once and for all that what had been committed until then counts
// as committed by then, whatever its records say. So commit times still never
// go back, for whoever reads them here.

// clockMark says that no commit up to one counts as later than a time.
type clockMark struct {
	upTo uint64
	time quantrac.Millis
}

// Correct returns a commit with the time that it counts as made at. Those of
// entries are; those that a reader has written down earlier may not be.
func (j *Journal) Correct(c quantrac.Commit) quantrac.Commit {
	for _, m := range j.marks {
		if c.Number <= m.upTo {
			c.Time = min(c.Time, m.time)
		}
	}
	return c
}

// checkClock refuses to go on before the last commit, or marks that it was made
// by a clock that was wrong.
func (j *Journal) checkClock() error {
	now, last := j.o.Clock.Now(), j.pub.last
	if now >= last.Time || j.o.Driven {
		return nil
	}
	if !j.o.AcceptClock {
		return quantrac.Errorf(quantrac.Unavailable,
			"journal %s: %w: it says %s, but the last commit (number %d) was made at %s: set the clock right, or wait %s, and start again",
			j.dir, ErrClock, now, last.Number, last.Time, last.Time.Sub(now))
	}
	marks := append(j.marks, clockMark{last.Number, now})
	if err := vfs.WriteFile(j.fs, j.clockPath(), encodeMarks(marks), 0o640); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.o.Logger.Warn("journal: commits of a clock that was ahead count as made now", "last_commit", last.Number, "made_at", last.Time, "now", now)
	j.marks, j.pub.last.Time = marks, now
	return nil
}

func (j *Journal) clockPath() string { return filepath.Join(j.dir, "clock") }

const clockHead = "quantrac journal clock 1\n"

func encodeMarks(marks []clockMark) []byte {
	var b bytes.Buffer
	b.WriteString(clockHead)
	for _, m := range marks {
		fmt.Fprintf(&b, "%d %d\n", m.upTo, int64(m.time))
	}
	fmt.Fprintf(&b, "crc32c %08x\n", crc32.Checksum(b.Bytes(), castagnoli))
	return b.Bytes()
}

// loadMarks reads what is written down about the clock.
func (j *Journal) loadMarks() error {
	data, err := vfs.ReadFile(j.fs, j.clockPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if j.marks, err = decodeMarks(string(data)); err != nil {
		return corrupt(j.clockPath(), 0, "%v: restore it from a backup", err)
	}
	return nil
}

func decodeMarks(text string) (marks []clockMark, err error) {
	body, sum, ok := strings.Cut(text, "crc32c ")
	lines, head := strings.CutPrefix(body, clockHead)
	if !ok || !head || sum != fmt.Sprintf("%08x\n", crc32.Checksum([]byte(body), castagnoli)) {
		return nil, errors.New("it is not a list of marks of the clock with a matching checksum")
	}
	for line := range strings.Lines(lines) {
		var m clockMark
		if _, err := fmt.Sscanf(line, "%d %d\n", &m.upTo, &m.time); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		marks = append(marks, m)
	}
	return marks, nil
}
