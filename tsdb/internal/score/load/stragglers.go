package load

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Stragglers is a batch of readings that nobody waits for any more, from within
// so long before the end: water levels half way between the network's times,
// higher than the others, so that maxima show whether they were seen. Batches of
// different numbers are different.
func (n Network) Stragglers(batch, lines int, within time.Duration) []byte {
	rnd := rand.New(rand.NewPCG(n.Seed, uint64(batch)))
	steps := int64(within / n.Step)
	var b []byte
	for i := range lines {
		// A millisecond of its own, so that no reading meets another.
		at := n.Until.Add(-time.Duration(1+rnd.Int64N(steps))*n.Step + n.Step/2 + time.Duration(batch*lines+i)*time.Millisecond)
		b = fmt.Appendf(b, "%s %s=%.3f %d\n", tags(rnd.IntN(n.Stations)), properties[0].field, 3.5+rnd.Float64(), at.UnixNano())
	}
	return b
}
