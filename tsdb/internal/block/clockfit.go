package block

import (
	"maps"
	"slices"
)

const (
	// rowStep is the step of a clock of rows, in ms: stations keep to whole
	// minutes, or nearly.
	rowStep = 60_000
	// maxRowSteps bounds its steps while it is made.
	maxRowSteps = 1 << 18
)

// NewRowClock makes a clock from the times of rows and the commits they came by,
// for a block whose commits have many rows each: of the rows of a time most come
// by one commit, whichever group they are of, or by the next. each shows rows, of
// one group at a time. It is nil where rows lie in too many steps.
func NewRowClock(each func(show func(times []int64, commits []uint64)) error) (*Clock, error) {
	least := map[int64]uint64{} // commit of the rows of a step
	err := each(func(times []int64, commits []uint64) {
		for i, t := range times {
			at := floorDiv(t, rowStep)
			if n, ok := least[at]; (!ok || commits[i] < n) && len(least) <= maxRowSteps {
				least[at] = commits[i]
			}
		}
	})
	if err != nil || len(least) == 0 || len(least) > maxRowSteps {
		return nil, err
	}
	steps := slices.Sorted(maps.Keys(least))
	for i := len(steps) - 2; i >= 0; i-- { // what came before what is older is late
		least[steps[i]] = min(least[steps[i]], least[steps[i+1]])
	}
	c := &Clock{step: rowStep, ofRows: true}
	for i, at := range steps { // a tick in the last step of each commit: the next one is next
		if i+1 == len(steps) || least[steps[i+1]] != least[at] {
			c.tick(at, least[at])
		}
	}
	return c, nil
}

// fit returns the time, in ms, after which commits follow on times such that
// their numbers are told best: there few different distances are left.
func (h *hand) fit(times []int64, commits []uint64, scratch []int64) (int64, []int64) {
	scratch = scratch[:0]
	for i, t := range times {
		scratch = append(scratch, h.time(commits[i])-t)
	}
	slices.Sort(scratch)
	best := scratch[len(scratch)/2] / 100 * 100
	pairs, scratch := h.alike(times, commits, 0, scratch)
	if n, _ := h.alike(times, commits, best, scratch); n > pairs {
		pairs = n
	} else {
		best = 0
	}
	for by := int64(800); by >= 100; by /= 2 {
		for _, try := range []int64{best - by, best + by} {
			var n int
			if n, scratch = h.alike(times, commits, try, scratch); n > pairs {
				best, pairs = try, n
			}
		}
	}
	return best, scratch
}

// alike counts how many pairs of distances of the commits from those of the clock
// are the same.
func (h *hand) alike(times []int64, commits []uint64, after int64, scratch []int64) (int, []int64) {
	scratch = scratch[:0]
	for i, t := range times {
		n, _ := h.number(t + after) // nothing is read
		scratch = append(scratch, int64(commits[i]-n))
	}
	slices.Sort(scratch)
	pairs, run := 0, 0
	for i, d := range scratch {
		if run++; i+1 == len(scratch) || scratch[i+1] != d {
			pairs, run = pairs+run*run, 0
		}
	}
	return pairs, scratch
}
