package tsdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/rows"
)

// TestDecodedColumnsSayTheSame asks for parts of columns until they are kept in
// memory, and compares with what a store says that keeps none.
func TestDecodedColumnsSayTheSame(t *testing.T) {
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(4, 4))
	odd := []float64{math.NaN(), math.Copysign(0, -1), math.Inf(1), 5e-324, 1e300, 0.1 + 0.2, 1 << 40, -2147483648, 2147483648}
	batch := &quantrac.Batch{}
	const most = 1000
	for g := range 4 {
		for i := range most {
			row := quantrac.Row{Group: quantrac.NewLabels("station", fmt.Sprintf("s%d", g)), Time: quantrac.Millis(1_790_000_000_000 + i*600_000 + rnd.IntN(2)*rnd.IntN(3000))}
			for c := range 4 {
				cell := quantrac.Cell{Property: fmt.Sprintf("p%d_meters", c), Value: float64(rnd.IntN(1e6)) / 1000, Quality: quantrac.Good}
				switch {
				case c == 1 && rnd.IntN(20) == 0:
					cell.Value = odd[rnd.IntN(len(odd))]
				case c == 2 && rnd.IntN(10) == 0:
					cell.Quality = quantrac.Quality(rnd.IntN(int(quantrac.Missing) + 1))
				case c == 3 && rnd.IntN(10) == 0:
					continue // absent
				}
				row.Cells = append(row.Cells, cell)
			}
			batch.Rows = append(batch.Rows, row)
		}
	}
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(1_800_000_000_000)
	j, err := journal.Open(mem, "journal", journal.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	db, err := Open(mem, "tsdb", j, Options{Clock: clock, ColumnBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Append(ctx, batch); err != nil {
		t.Fatal(err)
	}
	before := ask(t, db, rand.New(rand.NewPCG(5, 5))) // of the head
	if err := errors.Join(db.Flush(ctx), db.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		if after := ask(t, db, rand.New(rand.NewPCG(5, 5))); after != before {
			t.Fatalf("round %d:\n%.3000s\nwant\n%.3000s", round, after, before)
		}
	}
	c := db.decoded
	if len(c.chunks) != 4 || len(c.ring) != 4 || c.bytes <= 0 || c.bytes > c.most {
		t.Errorf("%d chunks of 4, %d in the ring, %d bytes of %d", len(c.chunks), len(c.ring), c.bytes, c.most)
	}
	for _, b := range db.apply.state.blocks {
		c.drop(b)
	}
	if len(c.chunks)+len(c.ring)+c.bytes != 0 {
		t.Errorf("%d chunks, %d in the ring, %d bytes are left of blocks that are gone", len(c.chunks), len(c.ring), c.bytes)
	}
}

// ask reads many ranges and qualities, and returns the answers as text with the
// bits of every value.
func ask(t *testing.T, db *DB, rnd *rand.Rand) string {
	t.Helper()
	var out []byte
	for range 40 {
		q := Query{From: quantrac.Millis(1_790_000_000_000 + rnd.Int64N(600_000_000)), To: quantrac.MaxMillis}
		if rnd.IntN(3) > 0 {
			q.To = q.From + quantrac.Millis(rnd.Int64N(300_000_000))
		}
		if rnd.IntN(2) == 0 {
			first, second := rnd.IntN(5), rnd.IntN(5)
			q.Qualities = quantrac.QualitySet(1<<first | 1<<second)
		}
		for s, err := range db.Select(context.Background(), q) {
			if err != nil {
				t.Fatal(err)
			}
			out = fmt.Appendf(out, "%v %d: ", s.Labels, len(s.Times))
			for i := range s.Times {
				out = fmt.Appendf(out, "%d=%x/%d ", s.Times[i], math.Float64bits(s.Values[i]), s.Qualities[i])
			}
			out = append(out, '\n')
		}
	}
	return string(out)
}

// TestDecodedColumnsHaveABound reads more than is kept.
func TestDecodedColumnsHaveABound(t *testing.T) {
	c := newColumnCache(20_000)
	b := &blockFile{}
	for round := range 6 {
		for i := range 100 {
			p := &piece{block: b, columns: 2, column: round % 2}
			p.chunk.Offset = int64(i)
			c.offer(p, &loaded{times: make([]int64, 200), col: rows.Column{Values: make([]float64, 200), Qualities: make([]uint8, 200)}}, 0, 200)
		}
	}
	n := 0
	for _, chunk := range c.ring {
		n += chunk.bytes
	}
	if c.bytes != n || n > c.most || len(c.ring) == 0 || len(c.ring) != len(c.chunks) {
		t.Errorf("%d bytes kept, %d counted, at most %d; %d chunks, %d in the ring", n, c.bytes, c.most, len(c.chunks), len(c.ring))
	}
}

// TestAllThatIsAskedForAgainIsKept asks for so many parts that more marks of them
// fall to one place than there is room for.
func TestAllThatIsAskedForAgainIsKept(t *testing.T) {
	const chunks = 30_000
	c := newColumnCache(1 << 30)
	b := &blockFile{}
	l := &loaded{times: make([]int64, 4), col: rows.Column{Values: make([]float64, 4), Qualities: make([]uint8, 4)}}
	missing := chunks
	for range 40 {
		missing = 0
		for i := range chunks {
			p := &piece{block: b, columns: 1}
			p.chunk.Offset = int64(i)
			if c.get(p) == nil {
				missing++
				c.offer(p, l, 0, 4)
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d parts are not kept however often they are asked for", missing, chunks)
	}
}

// TestAnewKeepsNothing says which windows are kept.
func TestAnewKeepsNothing(t *testing.T) {
	w := Windows{First: 3_600_000, Step: 3_600_000, Width: 3_600_000, Count: 24}
	if !w.keeps(&Query{}) || w.keeps(&Query{Anew: true}) {
		t.Error("hours side by side are kept, unless they are asked for anew")
	}
}
