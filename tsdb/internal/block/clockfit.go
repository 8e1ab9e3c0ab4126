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

// fit returns the time, in ms, after which commits follow on times such that far,
// how far a row is from what the clock says so long after a time, is best told:
// there few different distances are left. scratch is how long after its time each row
// came, about, and is used up.
func fit(times, scratch []int64, far func(i int, t int64) int64) int64 {
	slices.Sort(scratch)
	best := scratch[len(scratch)/2] / 100 * 100
	alike := func(after int64) int {
		for i, t := range times {
			scratch[i] = far(i, t+after)
		}
		return pairs(scratch)
	}
	most := alike(0)
	if n := alike(best); n > most {
		most = n
	} else {
		best = 0
	}
	for by := int64(800); by >= 100; by /= 2 {
		for _, try := range []int64{best - by, best + by} {
			if n := alike(try); n > most {
				best, most = try, n
			}
		}
	}
	return best
}

// pairs counts how many pairs of numbers are the same, and sorts them.
func pairs(ints []int64) int {
	slices.Sort(ints)
	n, run := 0, 0
	for i, d := range ints {
		if run++; i+1 == len(ints) || ints[i+1] != d {
			n, run = n+run*run, 0
		}
	}
	return n
}
