package hashed

import (
	"math/rand/v2"
	"testing"
)

// A table finds what is in it and nothing else, whatever has come and gone and
// however hashes collide.
func TestTable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var x Table
	in := map[uint32]bool{}
	hash := func(n uint32) uint32 { return n % 97 * 0x9e3779b1 }
	for i := range 20_000 {
		if i == 7_000 {
			x.Grow(700)
		}
		n := uint32(rnd.IntN(600))
		_, found := x.Find(hash(n), func(at uint32) bool { return at == n })
		switch {
		case found != in[n]:
			t.Fatalf("%d is found: %v, want %v", n, found, in[n])
		case found:
			x.Remove(hash(n), n)
		default:
			x.Add(hash(n), n)
		}
		in[n] = !found
	}
	if len(x.slots) > 1024 {
		t.Errorf("%d slots for 600 numbers", len(x.slots))
	}
}
