package block

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/files"
	"quantrac/tsdb/internal/rows"
)

// network is some stations' rows of so many times, which come a few seconds later,
// so many by a commit; some come late, some have no received time. It returns when
// the commits were made, too.
func network(stations, steps, each int) ([]sample, []quantrac.Commit) {
	type message struct {
		station int
		at      int64 // when it is committed
		row     rows.Row
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	var all []message
	for k := range steps {
		for s := range stations {
			t := 1_790_000_000_000 + int64(k)*600_000
			came := t + 1000 + int64(s*7919%10_000) + int64(rnd.IntN(300))
			if rnd.IntN(30) == 0 {
				came += 600_000 * int64(1+rnd.IntN(30))
			}
			r := rows.Row{Time: t, Received: came / 1000 * 1000, Cols: []int{0, 1}, Values: []float64{float64(k % 50), 2}, Quality: []uint8{1, 1}}
			if rnd.IntN(50) == 0 {
				r.Received = 0
			}
			if rnd.IntN(40) == 0 {
				r.Quality = []uint8{2, 2}
			}
			if rnd.IntN(60) == 0 {
				r.Kind = rows.Human
				if rnd.IntN(2) == 0 {
					r.Received = 0
				}
			}
			all = append(all, message{s, came + 50 + int64(rnd.IntN(200)), r})
		}
	}
	slices.SortStableFunc(all, func(a, b message) int { return cmp.Compare(a.at, b.at) })
	var commits []quantrac.Commit
	number := uint64(1_000_000)
	for i := range all {
		if i%each == 0 {
			number += 1 + uint64(rnd.IntN(50)/49)
			commits = append(commits, quantrac.Commit{Number: number, Time: quantrac.Millis(all[min(i+each, len(all))-1].at)})
		}
		all[i].row.Commit = number
	}
	slices.SortStableFunc(all, func(a, b message) int { return cmp.Compare(a.row.Time, b.row.Time) })
	out := make([]sample, stations)
	for s := range out {
		out[s] = sample{labels: quantrac.NewLabels("station", fmt.Sprintf("st-%03d", s)), props: []string{"level", "ph"}, table: &rows.Table{}}
	}
	for i := range all {
		out[all[i].station].table.Append(&all[i].row)
	}
	return out, commits
}

func clockFor(t testing.TB, n int64, commits []quantrac.Commit) *Clock {
	c, err := NewClock(n, func(show func(quantrac.Commit)) error {
		for _, m := range commits {
			show(m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeBy(t testing.TB, all []sample, c *Clock) []byte {
	var b bytes.Buffer
	w, err := NewWriter(&b, 1_788_000_000_000)
	if err != nil {
		t.Fatal(err)
	}
	w.Small, w.Clock = true, c
	for _, s := range all {
		if err := w.Group(s.labels, s.props, s.table); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A block of messages that has a clock tells the same rows in fewer bytes.
func TestClock(t *testing.T) {
	all, commits := network(40, 800, 1)
	c := clockFor(t, 32_000, commits)
	if c == nil || c.end != commits[len(commits)-1].Number+1 {
		t.Fatalf("clock %+v", c)
	}
	plain, exact := writeBy(t, all, nil), writeBy(t, all, c)
	settled, kept := 0, 0
	for _, s := range all {
		was := slices.Clone(s.table.Commits)
		c.Settle(s.table)
		for i, n := range s.table.Commits {
			_, first := (&hand{Clock: c}).second(was[i])
			switch {
			case n == was[i] && s.table.Kinds[i] == rows.Human:
				kept++
			case n != first || s.table.Kinds[i] == rows.Human:
				t.Fatalf("a row of kind %d by commit %d settles on %d, the first of its second is %d", s.table.Kinds[i], was[i], n, first)
			case n != was[i]:
				settled++
			}
		}
	}
	if settled < 16_000 || kept < 300 {
		t.Fatalf("%d rows settle, %d keep their commits", settled, kept)
	}
	told := writeBy(t, all, c)
	page := told[c.pages[0].offset+4:]
	if _, n := binary.Uvarint(page); page[n] != 0 {
		t.Error("the clock is not told by its rhythm")
	}
	var sizes [3]Sizes
	for i, data := range [][]byte{plain, exact, told} {
		r, groups, err := open(t, data)
		if err != nil {
			t.Fatal(err)
		}
		tables, err := readAll(r, groups)
		if err != nil {
			t.Fatal(err)
		}
		for k, s := range all {
			if i < 2 {
				c.Settle(tables[k]) // as all is by now
			}
			if err := sameTable(tables[k], s.table, 2); err != nil {
				t.Errorf("group %d: %v", k, err)
			}
			if err := humans(r, &groups[k].Group); err != nil {
				t.Errorf("group %d: %v", k, err)
			}
		}
		if err := r.Verify(nil); err != nil {
			t.Error(err)
		}
		if err := r.Sizes(&sizes[i]); err != nil {
			t.Fatal(err)
		}
	}
	p, c2 := sizes[0].Commits, sizes[2].Commits+sizes[2].Clock
	t.Logf("bits a row: %.2f by seconds, %.2f of these the clock, %.2f without; received %.2f", 8*float64(c2)/32000, 8*float64(sizes[2].Clock)/32000, 8*float64(p)/32000, 8*float64(sizes[2].Received)/32000)
	if c2*2 > p || sizes[0].Clock != 0 || sizes[2].Clock == 0 {
		t.Errorf("commits take %d bytes and the clock %d; %d without one", sizes[2].Commits, sizes[2].Clock, p)
	}
}

// humans reads the commits of human rows alone.
func humans(r *Reader, g *Group) error {
	for k := range g.Chunks {
		var d Data
		if _, err := r.Read(&d, &g.Chunks[k], len(g.Properties), nil); err != nil {
			return err
		}
		t := &rows.Table{}
		if err := d.Table(t, []int{0, 1}, math.NaN()); err != nil {
			return err
		}
		got, err := d.Commits(nil, t.Times, t.Kinds)
		if err != nil {
			return err
		}
		for i, kind := range t.Kinds {
			if kind == rows.Human && got[i] != t.Commits[i] {
				return fmt.Errorf("human row %d is by commit %d, want %d", i, got[i], t.Commits[i])
			}
		}
	}
	return nil
}

// A block of few commits is told by a clock made of its rows.
func TestRowClock(t *testing.T) {
	all, _ := network(60, 600, 150)
	c, err := NewRowClock(func(show func([]int64, []uint64)) error {
		for _, s := range all {
			show(s.table.Times, s.table.Commits)
		}
		return nil
	})
	if err != nil || c == nil {
		t.Fatalf("clock %v, %v", c, err)
	}
	h := hand{Clock: c}
	for _, s := range all[:3] {
		for i, at := range s.table.Times {
			if n, err := h.number(at); err != nil || n > s.table.Commits[i] {
				t.Fatalf("row %d at %d is by commit %d, the clock says %d, %v", i, at, s.table.Commits[i], n, err)
			}
		}
	}
	var sizes [2]Sizes
	for i, data := range [][]byte{writeBy(t, all, nil), writeBy(t, all, c)} {
		r, groups, err := open(t, data)
		if err != nil {
			t.Fatal(err)
		}
		holds(t, r, groups, all)
		if err := r.Sizes(&sizes[i]); err != nil {
			t.Fatal(err)
		}
	}
	p, n := sizes[0].Commits, sizes[1].Commits+sizes[1].Clock
	t.Logf("bits a row: %.2f by a clock, %.2f without", 8*float64(n)/36000, 8*float64(p)/36000)
	if n*4 > p*3 {
		t.Errorf("commits take %d bytes with a clock, %d without", n, p)
	}
	if c, err := NewRowClock(func(func([]int64, []uint64)) error { return errSum }); err == nil || c != nil {
		t.Error("an error is lost")
	}
	if c, _ := NewRowClock(func(show func([]int64, []uint64)) error {
		for i := range int64(maxRowSteps + 2) {
			show([]int64{i * rowStep}, []uint64{1})
		}
		return nil
	}); c != nil {
		t.Error("a clock of too many steps")
	}
}

// There is no clock where it would be of no use, and a clock may lack commits, or
// have those of other rows.
func TestClockChoice(t *testing.T) {
	all, commits := network(20, 300, 1)
	if c := clockFor(t, 100, commits); c != nil {
		t.Errorf("a clock of %d pages for 100 rows", len(c.pages))
	}
	if c := clockFor(t, 6000, commits[:10]); c != nil {
		t.Error("a clock of ten commits")
	}
	if _, err := NewClock(9, func(func(quantrac.Commit)) error { return errSum }); err == nil {
		t.Error("an error is lost")
	}
	for _, some := range [][]quantrac.Commit{commits[:3000], commits[3000:], commits[2000:4000]} {
		c := clockFor(t, 6000, some)
		if c == nil {
			t.Fatal("no clock")
		}
		r, groups, err := open(t, writeBy(t, all, c))
		if err != nil {
			t.Fatal(err)
		}
		holds(t, r, groups, all)
	}
}

// A clock says the next commit at every time, over all its pages.
func TestClockNumbers(t *testing.T) {
	var commits []quantrac.Commit
	at := quantrac.Commit{Number: 5, Time: -3_000_000}
	for i := range 40_000 {
		at.Number += uint64(1 + i%2)
		at.Time += quantrac.Millis(20 + 13*(i%4))
		if i == 20_000 {
			at.Time += 10_000_000
		}
		commits = append(commits, at)
	}
	c := clockFor(t, 100_000, commits)
	if c == nil || len(c.pages) < 2 || c.step != 1000 {
		t.Fatalf("clock %+v", c)
	}
	h := hand{Clock: c}
	for i := range 2000 {
		m := commits[i*(len(commits)-1)/1999]
		second := floorDiv(int64(m.Time)+999, 1000) * 1000
		first, err := h.number(second)
		if err != nil || first > m.Number || m.Number-first > 60 {
			t.Fatalf("at %d number %d, %v, want that of the first commit of commit %d's second", second, first, err, m.Number)
		}
		if got := h.time(m.Number); got < second || got > second+1000 {
			t.Fatalf("commit %d of %d was made at %d", m.Number, second, got)
		}
	}
	for _, q := range []int64{math.MinInt64, -1 << 60, 0, 1 << 60, math.MaxInt64} {
		if n, err := h.number(q); err != nil || n < commits[0].Number || n > c.end {
			t.Errorf("at %d: %d, %v", q, n, err)
		}
	}
}

// holds wants the tables of a block to be those of the samples.
func holds(t *testing.T, r *Reader, groups []group, all []sample) {
	t.Helper()
	tables, err := readAll(r, groups)
	if err != nil {
		t.Fatal(err)
	}
	for k, s := range all {
		if err := sameTable(tables[k], s.table, 2); err != nil {
			t.Errorf("group %d: %v", k, err)
		}
	}
}

// Ticks that were read go with the memory of others, and are read again.
func TestClockForgets(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nothing goes but when we say so
	all, commits := network(40, 200, 1)
	c := clockFor(t, 8000, commits)
	for _, s := range all {
		c.Settle(s.table)
	}
	r, groups, err := open(t, writeBy(t, all, c))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		holds(t, r, groups, all)
		held := func() (n int) {
			for _, p := range r.index.clock.pages {
				if w := p.seen.Load(); w != nil && w.Value() != nil {
					n++
				}
			}
			return n
		}
		if held() == 0 {
			t.Error("no page of the clock is at hand after reading")
		}
		runtime.GC()
		if n := held(); n > 0 {
			t.Errorf("%d pages of the clock are held", n)
		}
	}
}

// Every damaged byte of a block with a clock is noticed.
func TestClockDamage(t *testing.T) {
	all, commits := network(20, 70, 1)
	data := writeBy(t, all, clockFor(t, 1400, commits))
	r, _, err := open(t, data)
	if err != nil || r.index.clock == nil {
		t.Fatalf("clock %v, %v", r.index.clock, err)
	}
	for i := int(r.index.daysEnd); i < len(data)-footerSize; i++ {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		r, groups, err := open(t, bad)
		if err == nil {
			_, err = readAll(r, groups)
		}
		if quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatalf("byte %d of %d: error %v, want one of kind Corrupt", i, len(data), err)
		}
	}
	// What turns bad after it was read is noticed when all is read.
	fsys := vfs.NewMem()
	f, err := fsys.Create("x.block")
	if err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r, err = Open(files.New(fsys, 1), "x.block", nil); err == nil {
		err = r.Verify(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	at := r.index.daysEnd + 9
	if _, err := f.WriteAt([]byte{data[at] ^ 1}, at); err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(nil); quantrac.KindOf(err) != quantrac.Corrupt {
		t.Errorf("a clock that has turned bad: %v", err)
	}
	// A chunk is not read by a clock that is not there.
	var g Group
	if err := r.Group(0, &g); err != nil {
		t.Fatal(err)
	}
	var d Data
	if _, err := r.Read(&d, &g.Chunks[0], 2, nil); err != nil {
		t.Fatal(err)
	}
	times, err := d.Times(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.hand = hand{Clock: &Clock{step: 2000, pages: d.hand.pages, end: d.hand.end, read: d.hand.read}}
	if _, err := d.Commits(nil, times, nil); quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "steps of 2000 ms") {
		t.Errorf("by a clock of other steps: %v", err)
	}
	d.hand = hand{}
	if _, err := d.Commits(nil, times, nil); quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "clock") {
		t.Errorf("without its clock: %v", err)
	}
}

func FuzzTicks(f *testing.F) {
	_, commits := network(20, 70, 1)
	c := clockFor(f, 1400, commits)
	all, _ := network(20, 70, 1)
	data := writeBy(f, all, c)
	for _, p := range c.pages {
		f.Add(data[p.offset+4:p.offset+int64(p.size)], int64(5000), int64(1000))
	}
	f.Fuzz(func(t *testing.T, body []byte, at, step int64) {
		page := binary.LittleEndian.AppendUint32(nil, checksum(body))
		ticks, err := decodeTicks(append(page, body...), at)
		if err != nil {
			return
		}
		c := &Clock{step: 1 + int64(uint64(step)%maxClockStep), pages: []*clockPage{{step: at}, {step: at + 5, number: uint64(step)}}, end: uint64(at)}
		for _, p := range c.pages {
			p.ticks.Store(&ticks)
		}
		h := hand{Clock: c}
		for _, q := range []int64{at, step, at * c.step, math.MinInt64, math.MaxInt64} {
			if _, err := h.number(q); err != nil {
				t.Fatal(err)
			}
			h.time(uint64(q))
		}
	})
}

// BenchmarkCommits measures what it costs to read times, commits and values of the
// rows of messages.
func BenchmarkCommits(b *testing.B) {
	all, commits := network(50, 1440, 1)
	c := clockFor(b, 72_000, commits)
	for _, s := range all {
		c.Settle(s.table)
	}
	r, groups, err := open(b, writeBy(b, all, c))
	if err != nil {
		b.Fatal(err)
	}
	for _, what := range []string{"times", "commits", "received"} {
		b.Run(what, func(b *testing.B) {
			var d Data
			var buf []byte
			var times, received []int64
			var numbers []uint64
			var col rows.Column
			n := 0
			for b.Loop() {
				g := &groups[n%len(groups)]
				n++
				for k := range g.Chunks {
					if buf, err = r.Read(&d, &g.Chunks[k], len(g.Properties), buf); err != nil {
						b.Fatal(err)
					}
					if times, err = d.Times(times[:0]); err != nil {
						b.Fatal(err)
					}
					col.Values, col.Qualities = col.Values[:0], col.Qualities[:0]
					if col, err = d.Column(col, 0, math.NaN()); err != nil {
						b.Fatal(err)
					}
					if what == "times" {
						continue
					}
					if numbers, err = d.Commits(numbers[:0], times, nil); err != nil {
						b.Fatal(err)
					}
					if what == "received" {
						if received, err = d.Received(received[:0], times); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1440, "ns/row")
		})
	}
}
