package decode

import (
	"slices"

	"quantrac"
)

// space is the memory for the cells of many rows: they are cut out of a few
// slices, which serve again after reset.
type space struct {
	slices [][]quantrac.Cell
	used   int             // of slices
	rest   []quantrac.Cell // no cells, and the capacity that is free of the last slice used
	size   int             // of a further slice
	least  int             // what a row is given
}

// reset makes everything free. The payload gives an idea of what is coming.
func (s *space) reset(payload int) {
	s.used, s.rest, s.size = 0, nil, min(max(payload/16, 8), 8192)
}

// row returns an empty row to append cells to.
func (s *space) row() []quantrac.Cell {
	if cap(s.rest) < max(s.least, 1) {
		s.more()
	}
	return s.rest
}

func (s *space) more() {
	if s.used == len(s.slices) {
		s.slices = append(s.slices, make([]quantrac.Cell, 0, s.size))
	}
	s.rest = s.slices[s.used]
	s.used++
}

// keep returns a row that no other one will overwrite. One that has grown over
// what was free has memory of its own already.
func (s *space) keep(row []quantrac.Cell) []quantrac.Cell {
	s.least = len(row)
	if len(row) <= cap(s.rest) {
		s.rest = s.rest[len(row):len(row)]
	}
	return slices.Clip(row)
}

// cells is how many cells the memory holds.
func (s *space) cells() (n int) {
	for _, c := range s.slices {
		n += cap(c)
	}
	return n
}
