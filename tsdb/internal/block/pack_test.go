package block

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"quantrac"
	"quantrac/tsdb/internal/rows"
)

// lone are groups of few rows each, as of many series of a value a minute; some
// have more rows, revisions or other properties, and stand between packs.
func lone(n int) []sample {
	rnd := rand.New(rand.NewPCG(4, 5))
	var out []sample
	for i := range n {
		s := sample{labels: quantrac.NewLabels("area", fmt.Sprintf("a%d", i/90), "station", fmt.Sprintf("s%05d", i*7)), props: []string{"level"}}
		if i%50 == 3 {
			s.props = []string{"level", "rain"}
		}
		if i%70 == 5 {
			s.labels = quantrac.NewLabels("area", fmt.Sprintf("a%d", i/90), "sensor", "x", "station", fmt.Sprintf("s%05d", i*7))
		}
		switch {
		case i%40 == 9:
			s.table = randomTable(rnd, 12, len(s.props))
		case i%60 == 11:
			s.table = plainTable(rnd, 300, len(s.props))
		default:
			s.table = plainTable(rnd, 1+rnd.IntN(1+i%9), len(s.props))
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b sample) int { return a.labels.Compare(b.labels) })
	return out
}

func TestPacks(t *testing.T) {
	for _, small := range []bool{false, true} {
		all := lone(900)
		r, groups, err := open(t, writeAs(t, all, small))
		if err != nil {
			t.Fatal(err)
		}
		if len(groups) != len(all) || r.Groups() != len(all) {
			t.Fatalf("%d groups, want %d", len(groups), len(all))
		}
		packed, levels := 0, int64(0)
		var d Data
		for _, i := range rand.New(rand.NewPCG(6, 7)).Perm(len(all)) { // in any order
			var g Group
			if err := r.Group(i, &g); err != nil {
				t.Fatal(err)
			}
			if !groups[i].labels.Equal(all[i].labels) || fmt.Sprint(g) != fmt.Sprint(groups[i].Group) {
				t.Fatalf("group %d is %v %+v, want %v %+v", i, groups[i].labels, g, all[i].labels, groups[i].Group)
			}
			if g.Chunks[0].Of > 0 {
				packed++
			}
			if slices.Contains(g.Properties, "level") {
				levels++
			}
			sameGroup(t, r, i, all[i].table, &d)
		}
		if packed < 700 {
			t.Errorf("small %v: %d of %d groups are packed", small, packed, len(all))
		}
		if err := r.Verify(nil); err != nil {
			t.Error(err)
		}
		var sizes Sizes
		if err := r.Sizes(&sizes); err != nil {
			t.Fatal(err)
		}
		total := sizes.Times + sizes.Commits + sizes.Received + sizes.Kinds + sizes.Qualities + sizes.Values + sizes.Headers + sizes.Days + sizes.Index
		if level := sizes.Property["level"]; total != r.Info().Bytes || level.Series != levels {
			t.Errorf("parts of %d bytes and %d series, want %d and %d", total, level.Series, r.Info().Bytes, levels)
		}
	}
}

// sameGroup wants a group to have the rows of a table.
func sameGroup(t *testing.T, r *Reader, position int, want *rows.Table, d *Data) {
	t.Helper()
	var g Group
	if err := r.Group(position, &g); err != nil {
		t.Fatal(err)
	}
	cols := []int{0, 1}[:len(g.Properties)]
	got := &rows.Table{Cols: make([]rows.Column, len(cols))}
	part := &rows.Table{}
	for k := range g.Chunks {
		if _, err := r.Read(d, &g.Chunks[k], len(cols), nil); err != nil {
			t.Fatal(err)
		}
		if err := d.Table(part, cols, math.NaN()); err != nil {
			t.Fatal(err)
		}
		got = joined([]*rows.Table{got, part}, len(cols))
		for _, at := range part.Times {
			chunks, columns, err := r.Covering(nil, position, at)
			if err != nil || columns != len(cols) || !slices.Contains(chunks, g.Chunks[k]) {
				t.Fatalf("chunks %+v of %d columns cover %d, want %+v: %v", chunks, columns, at, g.Chunks[k], err)
			}
		}
	}
	if err := sameTable(got, want, len(cols)); err != nil {
		t.Fatal(err)
	}
}

// Any damage to packs and their entries is noticed, and says where.
func TestPackDamage(t *testing.T) {
	data := write(t, lone(40))
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		r, groups, err := open(t, bad)
		if err == nil {
			_, err = readAll(r, groups)
		}
		spare := i > 8 && i < headerSize || i > len(data)-footerSize+20 && i < len(data)-8
		if quantrac.KindOf(err) != quantrac.Corrupt && !spare {
			t.Fatalf("byte %d of %d: error %v, want one of kind Corrupt", i, len(data), err)
		}
	}
}
