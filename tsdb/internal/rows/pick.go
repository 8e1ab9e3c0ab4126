package rows

import (
	"cmp"
	"slices"
)

// Cell is one revision of the value of a series.
type Cell struct {
	Time     int64
	Commit   uint64
	Received int64
	Value    float64
	Kind     uint8
	Quality  uint8
}

// View says which revisions a reader counts, as quantrac.Visible does.
type View struct {
	AsOf       uint64 // commits after it are not known
	DeviceOnly bool
	// Revoked returns the number of the commit that revoked a human commit, 0
	// where none has.
	Revoked func(commit uint64) uint64
}

// Pick returns the position of the cell that a reader sees among those of one
// series and time, given in the order of their commits; -1 for none. It is
// quantrac.Visible after the redelivered values, which may still be among the
// cells, have been left out.
func (v *View) Pick(cells []Cell) int {
	device, human := -1, -1
	for i := range cells {
		c := &cells[i]
		switch {
		case c.Commit > v.AsOf:
			continue
		case c.Kind == Human:
			if v.DeviceOnly {
				continue
			}
			if r := v.Revoked(c.Commit); r == 0 || r > v.AsOf {
				human = i
			}
		case c.Kind == Reading && seenBefore(cells[:i], c.Value):
		default:
			device = i
		}
	}
	if human >= 0 {
		return human
	}
	return device
}

func seenBefore(cells []Cell, v float64) bool {
	for i := range cells {
		if cells[i].Kind != Human && Same(cells[i].Value, v) {
			return true
		}
	}
	return false
}

// Sort orders cells by time and commit.
func Sort(cells []Cell) {
	order := func(a, b Cell) int {
		if c := cmp.Compare(a.Time, b.Time); c != 0 {
			return c
		}
		return cmp.Compare(a.Commit, b.Commit)
	}
	if !slices.IsSortedFunc(cells, order) {
		slices.SortStableFunc(cells, order)
	}
}

// Drop leaves the redelivered ones out of the cells of one series and time.
func Drop(cells []Cell) []Cell {
	out := cells[:0]
	for _, c := range cells {
		if c.Kind != Reading || !seenBefore(out, c.Value) {
			out = append(out, c)
		}
	}
	return out
}
