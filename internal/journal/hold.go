package journal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"quantrac"
	"quantrac/internal/vfs"
)

// Hold keeps segments from being dropped while a reader may still need them.
type Hold struct {
	j      *Journal
	name   string
	passed *atomic.Uint64
}

// holds are the positions of all readers, by name. The names are also kept in
// a file, so that after a restart nothing is dropped before each reader has
// named its position again.
type holds struct {
	j      *Journal
	mu     sync.Mutex
	after  map[string]uint64
	passed map[string]*atomic.Uint64 // of the readers that have come since Open
	dirty  bool                      // the file does not know all names
}

// Hold keeps everything after commit number after until the hold advances. The
// name is the reader's own and lasts over restarts: until Release, segments
// wait for it, also while the reader is not running. Taking a name again moves
// its hold.
func (j *Journal) Hold(name string, after uint64) *Hold {
	h := &j.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.after[name]; !known {
		h.dirty = true
	}
	h.after[name] = after
	h.passed[name] = &atomic.Uint64{}
	h.passed[name].Store(after)
	h.save()
	return &Hold{j, name, h.passed[name]}
}

// Pass says that the reader has dealt with everything up to commit n, though it
// may not have made it durable yet. Nothing but Stats depends on it.
func (h *Hold) Pass(n uint64) { h.passed.Store(n) }

// Advance says that the reader has made durable everything up to commit n. It
// never goes back.
func (h *Hold) Advance(n uint64) {
	hs := &h.j.holds
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if at, ok := hs.after[h.name]; ok && n > at {
		hs.after[h.name] = n
		hs.drop()
	}
}

// Release gives the hold up for good, for a reader that will not come back. A
// reader that merely stops leaves its hold standing.
func (h *Hold) Release() {
	hs := &h.j.holds
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if _, ok := hs.after[h.name]; !ok {
		return
	}
	delete(hs.after, h.name)
	delete(hs.passed, h.name)
	hs.dirty = true
	hs.save()
	hs.drop()
}

// drop removes the segments that every hold has passed, the oldest first.
// Without any hold nothing is dropped: nobody has said what may go.
func (h *holds) drop() {
	floor := uint64(math.MaxUint64)
	for _, n := range h.after {
		floor = min(floor, n)
	}
	if len(h.after) == 0 {
		return
	}
	p := &h.j.pub
	for {
		p.Lock()
		var old segment
		if !p.closed && len(p.segments) > 1 && p.segments[1].first-1 <= floor {
			old = p.segments[0]
		}
		p.Unlock()
		if old.path == "" {
			return
		}
		if h.save(); h.dirty {
			return // a reader that the file does not know would lose its place
		}
		// One by one, so that a crash cannot leave a gap.
		err := h.j.fs.Remove(old.path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err == nil {
			err = h.j.fs.SyncDir(h.j.dir)
		}
		if err != nil {
			h.j.o.Logger.Warn("journal: dropping a segment", "path", old.path, "error", err)
			return
		}
		p.Lock()
		p.segments = p.segments[1:]
		p.Unlock()
	}
}

func (h *holds) path() string { return filepath.Join(h.j.dir, "holds") }

const holdsHead = "quantrac journal holds 1\n"

// save writes the file where it does not know all names. A failure leaves the
// holds dirty, and nothing is dropped until they are not.
func (h *holds) save() {
	if !h.dirty {
		return
	}
	if err := vfs.WriteFile(h.j.fs, h.path(), h.encode(), 0o640); err != nil {
		h.j.o.Logger.Warn("journal: writing down the holds", "error", err)
		return
	}
	h.dirty = false
}

func (h *holds) encode() []byte {
	var b bytes.Buffer
	b.WriteString(holdsHead)
	for name, after := range h.after {
		fmt.Fprintf(&b, "%d %q\n", after, name)
	}
	fmt.Fprintf(&b, "crc32c %08x\n", crc32.Checksum(b.Bytes(), castagnoli))
	return b.Bytes()
}

// load reads the holds that readers have left standing.
func (h *holds) load() error {
	h.after, h.passed = map[string]uint64{}, map[string]*atomic.Uint64{}
	b, err := vfs.ReadFile(h.j.fs, h.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	body, sum, ok := strings.Cut(string(b), "crc32c ")
	if !ok || !strings.HasPrefix(body, holdsHead) || sum != fmt.Sprintf("%08x\n", crc32.Checksum([]byte(body), castagnoli)) {
		return corrupt(h.path(), 0, "it is not a list of holds with a matching checksum; if it is removed, every reader must start once before segments are dropped")
	}
	for _, line := range strings.Split(strings.TrimSpace(body[len(holdsHead):]), "\n") {
		if line == "" {
			continue
		}
		var after uint64
		var name string
		if _, err := fmt.Sscanf(line, "%d %q", &after, &name); err != nil {
			return quantrac.WithKind(quantrac.Corrupt, fmt.Errorf("journal: %s: line %q: %w", h.path(), line, err))
		}
		h.after[name] = after
	}
	return nil
}
