package tsdb

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLately: it never denies a row that is there, knows nothing of what came before
// it, and denies most times near the end that are not.
func TestLately(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		newest := int64(math.MinInt64)
		before := rnd.Int64N(3) * 1000 // rows that came before it was there
		if before > 0 {
			newest = before
		}
		var l lately
		there := map[int64]bool{}
		asked, denied := 0, 0
		for i := range int64(300) {
			time := before + 600*(i+1)
			switch {
			case rnd.IntN(20) == 0:
				time -= 600 * rnd.Int64N(i+2)
			case rnd.IntN(3) == 0:
				time -= 600 * rnd.Int64N(min(i+1, 3))
			}
			if near := newest - 600*rnd.Int64N(5) - 1; newest > before+6000 && !there[near] {
				asked++
				if !l.may(near) {
					denied++
				}
			}
			l.add(time, newest)
			there[time], newest = true, max(newest, time)
			for at := range there {
				if !l.may(at) {
					t.Fatalf("seed %d: after the row at %d the one at %d is denied: %+v", seed, time, at, l)
				}
			}
			if before > 0 && !l.may(before) {
				t.Fatalf("seed %d: what came before is denied: %+v", seed, l)
			}
		}
		if denied*3 < asked*2 {
			t.Errorf("seed %d: %d of %d times without a row are denied", seed, denied, asked)
		}
	}
}
