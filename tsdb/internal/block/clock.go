package block

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"
	"sync/atomic"
	"weak"

	"quantrac"
	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// Clock tells which commit was the next one at a time, roughly: from when a row
// was received follows the number of its commit but for a little. A block that is
// written small carries one of its own, so that it is read by itself.
//
// Time goes by steps. A tick is a step in which commits were made; between its
// beginning and its end numbers are taken to rise evenly. Times of commits are
// those of whole seconds, rounded up (NewClock), or those of the rows that came by
// them (NewRowClock).
//
// Where several commits are made in a second, each of few rows, the steps are
// seconds, and a row is told by its second alone: see Settle.
type Clock struct {
	step  int64 // ms
	pages []*clockPage
	end   uint64 // the number after the last commit's
	read  func(p *clockPage) ([]tick, error)

	// Of one that is being made:
	ofRows  bool // it is made of the rows
	seconds bool // it has every second in which commits were made, and rows are told by them
	used    bool // by a chunk
}

// clockPage is some ticks, read together when one is asked for and then at hand until
// memory is looked through: 8 bytes for each, of which there is one for sixteen
// commits, of a clock that goes by seconds as many as two for three. Who reads years
// of blocks has their clocks one after the other.
type clockPage struct {
	offset int64
	size   uint32
	step   int64                                // of the first tick, counted from 1970
	number uint64                               // of its first commit
	ticks  atomic.Pointer[[]tick]               // of a clock that is being made
	seen   atomic.Pointer[weak.Pointer[[]tick]] // of one that is read, nil until then
}

// tick says by how much a step and the number of its first commit are above
// those of the page.
type tick struct{ step, number uint32 }

const (
	clockPageLen = 1024
	// tickCommits is how many commits a tick has on average at least: of fewer it
	// says too little.
	tickCommits = 16
	// maxClockStep bounds a step: an hour.
	maxClockStep = 3_600_000
	// secondLen is a second in ms.
	secondLen = 1000
)

// clockSteps are the steps to choose from, in ms.
var clockSteps = [...]int64{1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, maxClockStep}

// NewClock makes a clock for a block of so many rows from the commits that each
// shows, in order, the same ones whenever it is called. It is nil where a clock
// would not be worth its bytes, and where commits have many rows each.
func NewClock(rows int64, each func(show func(quantrac.Commit)) error) (*Clock, error) {
	var ticks, last [len(clockSteps)]int64
	n := int64(0)
	err := each(func(c quantrac.Commit) {
		n++
		for i, step := range clockSteps {
			if at := stepOf(c.Time, step); n == 1 || at > last[i] {
				ticks[i], last[i] = ticks[i]+1, at
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if ticks[0] > 0 && 2*n >= 3*ticks[0] && ticks[0] <= rows/2 && n >= rows/16 {
		c := &Clock{step: secondLen, seconds: true}
		return c, each(c.add)
	}
	for i, step := range clockSteps {
		if n >= tickCommits*ticks[i] && ticks[i] > 0 && ticks[i] <= rows/8 && n >= rows/16 {
			c := &Clock{step: step}
			return c, each(c.add)
		}
	}
	return nil, nil
}

// stepOf returns the step in which a commit was made.
func stepOf(t quantrac.Millis, step int64) int64 {
	return floorDiv(floorDiv(int64(t)+999, 1000)*1000, step)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Settle has rows say no more of their commits than what is kept of them for ever.
// A reading that nothing has changed, the only row of its time and by no person,
// came by the first commit of its second: what was known at the end of a second is
// the same by it, and the order of the messages of a second, which nothing
// predicts, would be most of what is kept of them. All other rows keep their
// commits, by which they count before one another, and so do those that were made
// when the clock does not go. Of a clock that does not go by seconds, or of none, rows
// stay as they are.
func (c *Clock) Settle(t *rows.Table) {
	if c == nil || !c.seconds {
		return
	}
	h := hand{Clock: c}
	for i, at := range t.Times {
		n := t.Commits[i]
		alone := (i == 0 || t.Times[i-1] != at) && (i+1 == len(t.Times) || t.Times[i+1] != at)
		if alone && t.Kinds[i] == rows.Reading && n >= c.pages[0].number && n < c.end {
			_, t.Commits[i] = h.second(n)
		}
	}
	t.MaxCommit = slices.Max(t.Commits)
}

// add enters a commit later than all before it.
func (c *Clock) add(m quantrac.Commit) { c.tick(stepOf(m.Time, c.step), m.Number) }

// tick enters that a commit was made in a step, or in one of those before.
func (c *Clock) tick(at int64, number uint64) {
	c.end = number + 1
	if len(c.pages) > 0 {
		p := c.pages[len(c.pages)-1]
		ticks := p.ticks.Load() // nobody else has them yet
		if at <= p.step+int64((*ticks)[len(*ticks)-1].step) {
			return
		}
		if d, n := uint64(at-p.step), number-p.number; len(*ticks) < clockPageLen && d <= math.MaxUint32 && n <= math.MaxUint32 {
			*ticks = append(*ticks, tick{uint32(d), uint32(n)})
			return
		}
	}
	p := &clockPage{step: at, number: number}
	ticks := []tick{{}}
	p.ticks.Store(&ticks)
	c.pages = append(c.pages, p)
}

// ticks returns those of a page.
func (c *Clock) ticks(p *clockPage) ([]tick, error) {
	if t := p.ticks.Load(); t != nil {
		return *t, nil
	}
	if w := p.seen.Load(); w != nil {
		if t := w.Value(); t != nil {
			return *t, nil
		}
	}
	t, err := c.read(p)
	if err != nil {
		return nil, err
	}
	w := weak.Make(&t)
	p.seen.Store(&w)
	return t, nil
}

// hand reads a clock, quickly where it is asked for times that rise.
type hand struct {
	*Clock
	page  int
	ticks []tick // of the page
	at    int    // among them, where it stood last
}

// turn brings the hand to a page, -1 for before the first.
func (h *hand) turn(page int) error {
	if page < 0 || h.ticks != nil && h.page == page {
		return nil
	}
	t, err := h.Clock.ticks(h.pages[page])
	h.page, h.ticks, h.at = page, t, 0
	return err
}

// find returns the last tick whose step is not after one of the page.
func (h *hand) find(step uint64) int {
	lo, hi, by := 0, len(h.ticks), 1
	if uint64(h.ticks[h.at].step) <= step {
		lo = h.at
		for lo+by < hi && uint64(h.ticks[lo+by].step) <= step {
			lo, by = lo+by, 2*by
		}
		hi = min(hi, lo+by)
	} else {
		hi = h.at
	}
	for hi-lo > 1 {
		if mid := int(uint(lo+hi) >> 1); uint64(h.ticks[mid].step) <= step {
			lo = mid
		} else {
			hi = mid
		}
	}
	h.at = lo
	return lo
}

// next returns the number at which the tick after number i of the page begins.
func (h *hand) next(i int) uint64 {
	switch {
	case i+1 < len(h.ticks):
		return h.pages[h.page].number + uint64(h.ticks[i+1].number)
	case h.page+1 < len(h.pages):
		return h.pages[h.page+1].number
	}
	return h.end
}

// number returns the number of the next commit at a time, in ms.
func (h *hand) number(t int64) (uint64, error) {
	at := t / h.step
	rest := t - at*h.step
	if rest < 0 {
		at, rest = at-1, rest+h.step
	}
	return h.within(at, rest)
}

// within is number of the time that lies so many ms after the beginning of a step.
func (h *hand) within(at, rest int64) (uint64, error) {
	page := h.page
	if h.ticks == nil || at < h.pages[page].step || page+1 < len(h.pages) && at >= h.pages[page+1].step {
		page = sort.Search(len(h.pages), func(i int) bool { return h.pages[i].step > at }) - 1
	}
	if err := h.turn(page); err != nil || page < 0 {
		return h.pages[0].number, err
	}
	p := h.pages[page]
	d := uint64(at) - uint64(p.step)
	i := h.find(d)
	if uint64(h.ticks[i].step) != d {
		return h.next(i), nil
	}
	from := p.number + uint64(h.ticks[i].number)
	if rest == 0 {
		return from, nil
	}
	to := h.next(i)
	if to-from < 1<<32 { // as in every file that is whole
		return from + (to-from)*uint64(rest)/uint64(h.step), nil
	}
	hi, lo := bits.Mul64(to-from, uint64(rest))
	part, _ := bits.Div64(hi, lo, uint64(h.step))
	return from + part, nil
}

// tickOf turns to the page of a commit, of a clock that is not read, and returns the
// last tick that does not begin after it, the first where all do, and the number with
// which it begins.
func (h *hand) tickOf(number uint64) (i int, from uint64) {
	page := h.page
	if h.ticks == nil || number < h.pages[page].number || page+1 < len(h.pages) && number >= h.pages[page+1].number {
		page = max(sort.Search(len(h.pages), func(i int) bool { return h.pages[i].number > number })-1, 0)
	}
	_ = h.turn(page) // nothing is read
	p := h.pages[page]
	i = max(sort.Search(len(h.ticks), func(i int) bool { return p.number+uint64(h.ticks[i].number) > number })-1, 0)
	return i, p.number + uint64(h.ticks[i].number)
}

// second returns the second of a clock that goes by them and is not read, counted from
// 1970, in which a commit was made, and the number of the first one in it.
func (h *hand) second(number uint64) (at int64, first uint64) {
	i, first := h.tickOf(number)
	return h.pages[h.page].step + int64(h.ticks[i].step), first
}

// time returns about when a commit of a clock that is not read was made, in ms.
func (h *hand) time(number uint64) int64 {
	i, from := h.tickOf(number)
	begin := (h.pages[h.page].step + int64(h.ticks[i].step)) * h.step
	if number <= from {
		return begin
	}
	part := float64(number-from) / float64(max(h.next(i)-from, 1))
	return begin + int64(min(part, 1)*float64(h.step))
}

// appendPages appends the pages and notes where they are: from offset on.
func (c *Clock) appendPages(dst []byte, offset int64, small *codec.Small) []byte {
	start := len(dst)
	for _, p := range c.pages {
		at := len(dst)
		ticks := *p.ticks.Load()
		dst = binary.AppendUvarint(append(dst, 0, 0, 0, 0), uint64(len(ticks)))
		dst = appendTicks(dst, p.step, ticks, small)
		binary.LittleEndian.PutUint32(dst[at:], checksum(dst[at+4:]))
		p.offset, p.size = offset+int64(at-start), uint32(len(dst)-at)
	}
	return dst
}

// appendTicks appends the ticks of a page that begins at a step: by their rhythm
// behind a zero, or, where that is smaller, by two sections.
func appendTicks(dst []byte, first int64, ticks []tick, small *codec.Small) []byte {
	at, steps, numbers := []int64{first}, []int64{}, []int64{}
	for i, t := range ticks[1:] {
		at = append(at, first+int64(t.step))
		steps = append(steps, int64(t.step-ticks[i].step))
		numbers = append(numbers, int64(t.number-ticks[i].number))
	}
	section := small.AppendInts(nil, steps, nil)
	form := small.AppendInts(appendBytes(nil, section), numbers, nil)
	rhythm := codec.AppendTicks([]byte{0}, at, numbers)
	if len(rhythm) < len(form) {
		form = rhythm
	}
	return append(dst, form...)
}

// appendIndex appends where the pages are; of no clock that there is none.
func (c *Clock) appendIndex(dst []byte) []byte {
	if c == nil || !c.used {
		return binary.AppendUvarint(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(c.step))
	dst = binary.AppendUvarint(dst, uint64(len(c.pages)))
	step, number := int64(0), uint64(0)
	for _, p := range c.pages {
		dst = binary.AppendUvarint(dst, uint64(p.size))
		dst = binary.AppendVarint(dst, p.step-step)
		dst = binary.AppendUvarint(dst, p.number-number)
		step, number = p.step, p.number
	}
	return binary.AppendUvarint(dst, c.end-number)
}

// clock reads where the pages of the clock are, the first of them at offset, and
// returns the offset after the last.
func (r *indexReader) clock(d *directory, offset int64) int64 {
	step := r.uvarint()
	if step == 0 || r.err != nil {
		return offset
	}
	c := &Clock{step: int64(min(step, maxClockStep+1))}
	at, number := int64(0), uint64(0)
	for range r.count(3) {
		size := r.uvarint()
		by := r.varint()
		at, number = at+by, number+r.uvarint()
		if size > 1<<30 || len(c.pages) > 0 && by <= 0 {
			r.fail(fmt.Errorf("a page of the clock of %d bytes, %d steps after the one before", size, by))
			return offset
		}
		c.pages = append(c.pages, &clockPage{offset: offset, size: uint32(size), step: at, number: number})
		offset += int64(size)
	}
	c.end = number + r.uvarint()
	if r.err == nil && (c.step > maxClockStep || len(c.pages) == 0) {
		r.fail(fmt.Errorf("a clock of %d pages in steps of %d ms", len(c.pages), step))
	}
	d.clock = c
	return offset
}

// readTicks reads a page of the clock.
func (r *Reader) readTicks(p *clockPage) ([]tick, error) {
	buf := make([]byte, p.size)
	if err := r.readAt(buf, p.offset); err != nil {
		return nil, err
	}
	t, err := decodeTicks(buf, p.step)
	if err != nil {
		return nil, r.corrupt(p.offset, fmt.Errorf("clock: %w", err))
	}
	return t, nil
}

// decodeTicks decodes a page that begins at a step.
func decodeTicks(data []byte, first int64) ([]tick, error) {
	if len(data) < 4 || binary.LittleEndian.Uint32(data) != checksum(data[4:]) {
		return nil, errSum
	}
	r := indexReader{data: data[4:], size: len(data)}
	n, size := r.uvarint(), r.uvarint()
	if r.err != nil || n < 1 || n > clockPageLen || size > uint64(len(r.data)) {
		return nil, fmt.Errorf("%d ticks, the steps in %d of %d bytes", n, size, len(r.data))
	}
	steps, numbers, err := tickColumns(r.data, int(size), first, int(n))
	if err != nil {
		return nil, err
	}
	out := make([]tick, n)
	for i := range steps {
		s, m := uint64(out[i].step)+uint64(steps[i]), uint64(out[i].number)+uint64(numbers[i])
		if steps[i] < 1 || numbers[i] < 1 || s > math.MaxUint32 || m > math.MaxUint32 {
			return nil, fmt.Errorf("tick %d is %d steps and %d commits after the one before", i+1, steps[i], numbers[i])
		}
		out[i+1] = tick{uint32(s), uint32(m)}
	}
	return out, nil
}

// tickColumns reads by how much the n ticks of a page but the first are above those
// before them.
func tickColumns(data []byte, size int, first int64, n int) (steps, numbers []int64, err error) {
	if size == 0 {
		steps, numbers, err = codec.ReadTicks(data, first, n)
		if err != nil {
			return nil, nil, fmt.Errorf("rhythm: %w", err)
		}
		for i := range numbers {
			steps[i] = steps[i+1] - steps[i]
		}
		return steps[:n-1], numbers, nil
	}
	if steps, err = codec.ReadInts(nil, data[:size], n-1); err != nil {
		return nil, nil, fmt.Errorf("steps: %w", err)
	}
	if numbers, err = codec.ReadInts(nil, data[size:], n-1); err != nil {
		return nil, nil, fmt.Errorf("numbers: %w", err)
	}
	return steps, numbers, nil
}

// verifyClock reads all of the clock anew: what was read before may not be what is
// there now.
func (r *Reader) verifyClock() error {
	c := r.index.clock
	if c == nil {
		return nil
	}
	for i, p := range c.pages {
		t, err := r.readTicks(p)
		if err != nil {
			return err
		}
		last := t[len(t)-1]
		step, number := p.step+int64(last.step), p.number+uint64(last.number)
		if i+1 < len(c.pages) && (step >= c.pages[i+1].step || number >= c.pages[i+1].number) || number >= c.end {
			return r.corrupt(p.offset, fmt.Errorf("clock: page %d ends after the next begins", i))
		}
	}
	return nil
}
