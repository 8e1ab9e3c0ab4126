// Package regroup makes rows of series again. Files of other programs tell one
// series after the other; what a station said at one time, several values in one
// row, lies apart in them, and stored as it comes every value would be a row. A
// Sorter takes values in any order and gives rows, those of one group after the
// other and each group's in order of time.
//
// It promises that the same values given in the same order give the same rows in
// the same order, whatever memory it has, so that an interrupted import can go on
// where it was; and that its memory is bounded: what does not fit lies in a
// temporary file meanwhile. The labels of series stay in memory.
//
// Use: New, Add, then Rows once, Close. It imports the vocabulary and
// internal/vfs; cmd imports it.
package regroup

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"quantrac"
	"quantrac/internal/vfs"
)

// Options of a Sorter.
type Options struct {
	Memory int64  // bytes of values held at most; 64 MiB
	FS     vfs.FS // where the temporary file goes; nil for none: more than Memory is refused
	File   string // its path; what is there is replaced
	// Greatest keeps the greatest of the values told of one series and time, and
	// not the last one.
	Greatest bool
}

// Sorter gathers values. It is for one goroutine.
type Sorter struct {
	o      Options
	groups []quantrac.Labels
	ids    map[string]uint32 // of groups, by key
	props  []string
	propID map[string]uint32
	key    []byte
	last   struct { // series added last
		labels      quantrac.Labels
		group, prop uint32
	}

	cells  []cell
	most   int // cells in memory
	values int64
	beaten int64
	file   vfs.File
	end    int64   // of the file
	runs   []int64 // where each run in the file ends
	buf    []byte
}

// cell is a value; what has the same group, time and property is one value told
// several times.
type cell struct {
	time, received int64
	bits           uint64
	group, prop    uint32
	order          uint32 // of what was added since the last run
	quality        uint8
}

const cellBytes = 40

// New returns a Sorter without values.
func New(o Options) *Sorter {
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	return &Sorter{o: o, ids: map[string]uint32{}, propID: map[string]uint32{}, most: int(max(o.Memory/cellBytes, 16))}
}

// Add adds values of a series, of which it takes value, quality and received
// time. Errors: Invalid where they do not fit, those of the file.
func (s *Sorter) Add(series quantrac.Labels, times []quantrac.Millis, revs []quantrac.Revision) error {
	group, prop := s.resolve(series)
	for i, t := range times {
		if len(s.cells) == s.most {
			if err := s.spill(); err != nil {
				return err
			}
		}
		if n := len(s.cells); n == cap(s.cells) && n >= 1<<15 {
			s.cells = slices.Grow(s.cells, s.most-n) // at once: to move it costs the memory twice
		}
		r := &revs[i]
		s.cells = append(s.cells, cell{
			time: int64(t), received: int64(r.Received), bits: math.Float64bits(r.Value), quality: uint8(r.Quality),
			group: group, prop: prop, order: uint32(len(s.cells)),
		})
	}
	s.values += int64(len(times))
	return nil
}

// Values returns how many values have been added, and how many of them are told
// of a series and time that others tell of too, which is known once Rows has come
// to its end.
func (s *Sorter) Values() (added, beaten int64) { return s.values, s.beaten }

func (s *Sorter) resolve(series quantrac.Labels) (group, prop uint32) {
	l := &s.last
	if len(series) > 0 && len(series) == len(l.labels) && &series[0] == &l.labels[0] {
		return l.group, l.prop
	}
	labels := series.Without(quantrac.LabelMetric)
	s.key = labels.AppendKey(s.key[:0])
	group, ok := s.ids[string(s.key)]
	if !ok {
		group = uint32(len(s.groups))
		s.groups, s.ids[string(s.key)] = append(s.groups, labels), group
	}
	metric := series.Metric()
	if prop, ok = s.propID[metric]; !ok {
		prop = uint32(len(s.props))
		s.props, s.propID[metric] = append(s.props, metric), prop
	}
	l.labels, l.group, l.prop = series, group, prop
	return group, prop
}

// place orders cells by group, time and property.
func place(a, b *cell) int {
	if c := cmp.Compare(a.group, b.group); c != 0 {
		return c
	}
	if c := cmp.Compare(a.time, b.time); c != 0 {
		return c
	}
	return cmp.Compare(a.prop, b.prop)
}

func (s *Sorter) sort() {
	slices.SortFunc(s.cells, func(a, b cell) int {
		if c := place(&a, &b); c != 0 {
			return c
		}
		return cmp.Compare(a.order, b.order)
	})
}

// spill moves what is in memory into the file, as one more run.
func (s *Sorter) spill() error {
	if s.o.FS == nil {
		return quantrac.Errorf(quantrac.Invalid, "more than %d values at once: send fewer", s.most)
	}
	if s.file == nil {
		f, err := s.o.FS.OpenFile(s.o.File, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		s.file = f
	}
	s.sort()
	var c coder
	for i := range s.cells {
		s.buf = c.append(s.buf, &s.cells[i])
		if len(s.buf) > 256<<10 || i == len(s.cells)-1 {
			n, err := s.file.Write(s.buf)
			if s.end += int64(n); err != nil {
				return fmt.Errorf("temporary file %s: %w", s.o.File, err)
			}
			s.buf = s.buf[:0]
		}
	}
	s.runs = append(s.runs, s.end)
	s.cells = s.cells[:0]
	return nil
}

// Rows gives every row to show, which may keep it; an error of show ends it.
// Of a value told several times the last one added counts, or the greatest.
// Values of one time
// with other received times are rows of their own.
func (s *Sorter) Rows(show func(*quantrac.Row) error) error {
	s.sort()
	next, err := s.merge()
	if err != nil {
		return err
	}
	var at []cell // of one group and time
	for {
		c, err := next()
		if err != nil && err != io.EOF {
			return fmt.Errorf("temporary file %s: %w", s.o.File, err)
		}
		switch {
		case len(at) > 0 && (err == io.EOF || c.group != at[0].group || c.time != at[0].time):
			if err := s.show(at, show); err != nil {
				return err
			}
			at = at[:0]
		case len(at) > 0 && c.prop == at[len(at)-1].prop:
			s.beaten++
			if was := &at[len(at)-1]; !s.o.Greatest || math.Float64frombits(c.bits) > math.Float64frombits(was.bits) {
				*was = c
			}
			continue
		}
		if err == io.EOF {
			return nil
		}
		at = append(at, c)
	}
}

// show shows the rows of one group and time.
func (s *Sorter) show(at []cell, show func(*quantrac.Row) error) error {
	for len(at) > 0 {
		row := quantrac.Row{
			Group: s.groups[at[0].group], Time: quantrac.Millis(at[0].time), Received: quantrac.Millis(at[0].received),
			Cells: make([]quantrac.Cell, 0, len(at)),
		}
		received, rest := at[0].received, at[:0]
		for _, c := range at {
			if c.received != received {
				rest = append(rest, c)
				continue
			}
			row.Cells = append(row.Cells, quantrac.Cell{Property: s.props[c.prop], Value: math.Float64frombits(c.bits), Quality: quantrac.Quality(c.quality)})
		}
		if err := show(&row); err != nil {
			return err
		}
		at = rest
	}
	return nil
}

// Close removes the temporary file.
func (s *Sorter) Close() error {
	if s.file == nil {
		return nil
	}
	err := errors.Join(s.file.Close(), s.o.FS.Remove(s.o.File))
	s.file = nil
	return err
}

// run is a sorted sequence of cells: of the file, or what is in memory.
type run struct {
	index int // in which order runs were written
	head  cell
	more  func() (cell, error)
}

// merge returns a function that gives all cells in order, io.EOF after the last.
func (s *Sorter) merge() (func() (cell, error), error) {
	var h []*run // a heap
	from := int64(0)
	for i, end := range s.runs {
		r := bufio.NewReaderSize(io.NewSectionReader(s.file, from, end-from), 32<<10)
		var c coder
		h = append(h, &run{index: i, more: func() (cell, error) { return c.read(r) }})
		from = end
	}
	at := 0
	h = append(h, &run{index: len(h), more: func() (cell, error) {
		if at == len(s.cells) {
			return cell{}, io.EOF
		}
		at++
		return s.cells[at-1], nil
	}})
	for i := len(h) - 1; i >= 0; i-- {
		var err error
		if h[i].head, err = h[i].more(); err == io.EOF {
			h = slices.Delete(h, i, i+1)
		} else if err != nil {
			return nil, err
		}
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		sink(h, i)
	}
	return func() (cell, error) {
		if len(h) == 0 {
			return cell{}, io.EOF
		}
		out := h[0].head
		head, err := h[0].more()
		switch {
		case err == io.EOF:
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
		case err != nil:
			return cell{}, err
		default:
			h[0].head = head
		}
		sink(h, 0)
		return out, nil
	}, nil
}

// sink moves a run down to where it belongs.
func sink(h []*run, i int) {
	for {
		least := i
		for _, k := range [...]int{2*i + 1, 2*i + 2} {
			if k < len(h) && before(h[k], h[least]) {
				least = k
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

func before(a, b *run) bool {
	if c := place(&a.head, &b.head); c != 0 {
		return c < 0
	}
	return a.index < b.index
}
