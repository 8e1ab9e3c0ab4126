package tsdb

import (
	"math/rand/v2"
	"testing"
)

// TestPresence holds a filter to what it says: of a row that is there always yes,
// of others mostly no.
func TestPresence(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	const groups, slots = 200, 500
	p := newPresence(groups * slots / 2)
	there := map[[2]int64]bool{}
	for g := range int64(groups) {
		var times []int64
		for s := range int64(slots) {
			if at := s * 600_000; rnd.IntN(2) == 0 {
				times, there[[2]int64{g, at}] = append(times, at), true
			}
		}
		p.add(uint32(g), times)
	}
	wrong, absent := 0, 0
	for g := range int64(groups) {
		for s := range int64(slots) {
			at := s * 600_000
			switch may := p.may(uint32(g), at); {
			case there[[2]int64{g, at}] && !may:
				t.Fatalf("the row of group %d at %d is not there", g, at)
			case !there[[2]int64{g, at}]:
				absent++
				if may {
					wrong++
				}
			}
		}
	}
	if wrong > absent/20 {
		t.Errorf("%d of %d rows that are not there may be", wrong, absent)
	}
	if none := newPresence(maxPresence + 1); none != nil || !none.may(1, 2) {
		t.Error("a filter for too many rows")
	}
}
