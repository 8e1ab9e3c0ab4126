package block

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/files"
	"quantrac/tsdb/internal/rows"
)

type sample struct {
	labels quantrac.Labels
	props  []string
	table  *rows.Table
}

func randomTable(rnd *rand.Rand, n, cols int) *rows.Table {
	t := &rows.Table{}
	at := int64(1_790_000_000_000)
	for i := range n {
		if i == 0 || rnd.IntN(20) > 0 {
			at += 600_000 + int64(rnd.IntN(3)*rnd.IntN(2))
		}
		r := &rows.Row{Time: at, Commit: uint64(10 + i + rnd.IntN(2)*1000), Kind: uint8(rnd.IntN(30) / 28)}
		if last := t.Len() - 1; last >= 0 && t.Times[last] == at {
			r.Commit = t.Commits[last] + 1 + uint64(rnd.IntN(5))
		}
		if rnd.IntN(3) > 0 {
			r.Received = at + int64(rnd.IntN(2000)) - 100
		}
		for c := range cols {
			if q := uint8(rnd.IntN(12)); q < 11 {
				v := math.Round(rnd.NormFloat64()*1000) / 1000
				if q == 5 {
					v = math.Copysign(0, -1)
				}
				q %= 5
				if q == missing {
					v = math.NaN()
				}
				r.Cols, r.Values, r.Quality = append(r.Cols, c), append(r.Values, v), append(r.Quality, q)
			}
		}
		if len(r.Cols) > 0 {
			t.Append(r)
		}
	}
	return t
}

func samples() []sample {
	rnd := rand.New(rand.NewPCG(1, 2))
	var out []sample
	for i, n := range []int{1, 2, 300, 9000, 50} {
		out = append(out, sample{
			labels: quantrac.NewLabels("station", fmt.Sprintf("st-%02d", i), "district", "d"),
			props:  []string{"water_level_meters", "rain", "ph"}[:1+i%3],
			table:  randomTable(rnd, n, 1+i%3),
		})
	}
	out[2].table = plainTable(rnd, 400, 3) // enough to be summed up by days
	out = append(out, sample{labels: quantrac.Labels{}, props: []string{"lone"}, table: randomTable(rnd, 10, 1)})
	return out
}

func write(t testing.TB, all []sample) []byte { return writeAs(t, all, false) }

func writeAs(t testing.TB, all []sample, small bool) []byte {
	var b bytes.Buffer
	w, err := NewWriter(&b, 1_788_000_000_000)
	if err != nil {
		t.Fatal(err)
	}
	w.Small = small
	for _, s := range all {
		if err := w.Group(s.labels, s.props, s.table); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if info.Bytes != int64(b.Len()) {
		t.Errorf("Finish says %d bytes, wrote %d", info.Bytes, b.Len())
	}
	return b.Bytes()
}

// group is an entry of an index, kept.
type group struct {
	labels quantrac.Labels
	Group
}

func open(t testing.TB, data []byte) (*Reader, []group, error) {
	fsys := vfs.NewMem()
	f, err := fsys.Create("x.block")
	if err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	var groups []group
	r, err := Open(files.New(fsys, 1), "x.block", func(position int, labels quantrac.Labels, g *Group) error {
		if position != len(groups) {
			t.Errorf("group %d comes as number %d", position, len(groups))
		}
		groups = append(groups, group{labels, clone(g)})
		return nil
	})
	return r, groups, err
}

func clone(g *Group) Group {
	return Group{slices.Clone(g.Properties), slices.Clone(g.First), slices.Clone(g.Last), slices.Clone(g.Chunks)}
}

// readAll decodes every chunk of every group.
func readAll(r *Reader, groups []group) ([]*rows.Table, error) {
	var out []*rows.Table
	for i := range groups {
		g := &groups[i]
		var cols []int
		for c := range g.Properties {
			cols = append(cols, c)
		}
		var parts []*rows.Table
		for k := range g.Chunks {
			var d Data
			if _, err := r.Read(&d, &g.Chunks[k], len(cols), nil); err != nil {
				return nil, err
			}
			t := &rows.Table{}
			if err := d.Table(t, cols, math.NaN()); err != nil {
				return nil, err
			}
			for j, at := range t.Times {
				if n, ok, err := d.FindTime(at); err != nil || !ok || n > j {
					return nil, fmt.Errorf("FindTime(%d) = %d, %v, %v in row %d", at, n, ok, err, j)
				}
			}
			parts = append(parts, t)
			if err := glances(r, &g.Chunks[k], len(cols), t); err != nil {
				return nil, err
			}
		}
		out = append(out, joined(parts, len(cols)))
	}
	return out, errors.Join(readDays(r), r.verifyClock())
}

// glances looks for every time of a chunk, and for times beside them.
func glances(r *Reader, c *Chunk, columns int, t *rows.Table) error {
	for i, at := range t.Times {
		if may, _, err := r.MayHave(c, columns, at, nil); err != nil || !may {
			return fmt.Errorf("row %d at %d is not seen at a glance: %w", i, at, err)
		}
		if i%50 > 0 || i+1 < len(t.Times) && t.Times[i+1] == at+1 {
			continue
		}
		if may, _, err := r.MayHave(c, columns, at+1, nil); err != nil || may && c.Size < glanceSize && c.Of == 0 {
			return fmt.Errorf("beside row %d, at %d, something may be: %w", i, at+1, err)
		}
	}
	return nil
}

// readDays reads every page of days.
func readDays(r *Reader) error {
	for name, p := range r.index.days {
		for page := range p.pages {
			days, err := r.ReadDays(name, page)
			if err != nil {
				return err
			}
			for i := range days.series {
				if _, err := days.days(&days.series[i]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// joined puts chunks together as they are.
func joined(parts []*rows.Table, cols int) *rows.Table {
	out := &rows.Table{Cols: make([]rows.Column, cols)}
	for _, p := range parts {
		out.Times = append(out.Times, p.Times...)
		out.Commits = append(out.Commits, p.Commits...)
		out.Received = append(out.Received, p.Received...)
		out.Kinds = append(out.Kinds, p.Kinds...)
		for c := range out.Cols {
			out.Cols[c].Values = append(out.Cols[c].Values, p.Cols[c].Values...)
			out.Cols[c].Qualities = append(out.Cols[c].Qualities, p.Cols[c].Qualities...)
		}
	}
	return out
}

func sameTable(a, b *rows.Table, cols int) error {
	if !slices.Equal(a.Times, b.Times) || !slices.Equal(a.Commits, b.Commits) || !slices.Equal(a.Received, b.Received) || !slices.Equal(a.Kinds, b.Kinds) {
		return fmt.Errorf("rows differ")
	}
	for c := range cols {
		for i := range a.Times {
			qa, qb := a.Quality(i, c), b.Quality(i, c)
			if qa != qb || qa != rows.Absent && !rows.Same(a.Cols[c].Values[i], b.Cols[c].Values[i]) {
				return fmt.Errorf("row %d column %d: quality %d and %d", i, c, qa, qb)
			}
		}
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	for _, small := range []bool{false, true} {
		t.Run(fmt.Sprintf("small=%v", small), func(t *testing.T) { testRoundTrip(t, small) })
	}
}

func testRoundTrip(t *testing.T, small bool) {
	all := samples()
	r, groups, err := open(t, writeAs(t, all, small))
	if err != nil {
		t.Fatal(err)
	}
	tables, err := readAll(r, groups)
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != len(all) {
		t.Fatalf("%d groups, want %d", len(groups), len(all))
	}
	total, cells := 0, 0
	for i, s := range all {
		g := groups[i]
		if !g.labels.Equal(s.labels) || !slices.Equal(g.Properties, s.props[:len(g.Properties)]) {
			t.Errorf("group %d is %v %q, want %v %q", i, g.labels, g.Properties, s.labels, s.props)
		}
		if err := sameTable(tables[i], s.table, len(s.props)); err != nil {
			t.Errorf("group %d: %v", i, err)
		}
		for c := range g.Properties {
			first, last, _ := span(s.table, c)
			if g.First[c] != first || g.Last[c] != last {
				t.Errorf("group %d column %d spans %d to %d, want %d to %d", i, c, g.First[c], g.Last[c], first, last)
			}
		}
		for _, c := range g.Chunks {
			if c.Rows > maxChunkRows {
				t.Errorf("group %d has a chunk of %d rows", i, c.Rows)
			}
		}
		total += s.table.Len()
		cells += cellsOf(s.table)
	}
	if in := r.Info(); in.Rows != int64(total) || in.Cells != int64(cells) || in.Partition != 1_788_000_000_000 {
		t.Errorf("info %+v, want %d rows of %d cells", in, total, cells)
	}
}

// Any damage to any byte that counts is noticed, at the latest when the chunk
// is read, and says where.
func TestDamage(t *testing.T) {
	data := write(t, samples()[:3])
	if _, _, err := open(t, data); err != nil {
		t.Fatal(err)
	}
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
	for n := range data {
		if _, _, err := open(t, data[:n]); quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatalf("cut to %d bytes: error %v, want one of kind Corrupt", n, err)
		}
	}
}

func FuzzIndex(f *testing.F) {
	for _, all := range [][]sample{samples()[:3], lone(30)} {
		data := write(f, all)
		var b [8]byte
		copy(b[:], data[len(data)-footerSize:])
		at := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		f.Add(data[at:len(data)-footerSize], int64(at))
	}
	f.Fuzz(func(t *testing.T, index []byte, offset int64) {
		for version := uint8(1); version <= Version; version++ {
			d, err := readIndex(index, version, offset)
			if err != nil {
				continue
			}
			var g Group
			if err := d.each(func(int, quantrac.Labels, *Group) error { return nil }); err != nil {
				continue
			}
			d.forget()
			for i := range d.groups {
				if err := d.read(&g, i); err != nil || len(g.Chunks) == 0 || len(g.First) != len(g.Properties) {
					t.Fatalf("group %+v, %v", g, err)
				}
			}
		}
	})
}

func FuzzChunk(f *testing.F) {
	all := samples()
	all = []sample{all[0], all[1], all[2], all[4], all[5]} // short ones
	messages, commits := network(20, 70, 1)
	clock := clockFor(f, 1400, commits)
	for _, data := range [][]byte{write(f, all), writeAs(f, all, true), writeBy(f, messages[:3], clock)} {
		r, groups, err := open(f, data)
		if err != nil {
			f.Fatal(err)
		}
		for _, g := range groups {
			for k := range g.Chunks {
				var d Data
				buf, err := r.Read(&d, &g.Chunks[k], len(g.Properties), nil)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(buf[4:], uint16(g.Chunks[k].Rows), uint8(len(g.Properties)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, count uint16, columns uint8) {
		data := append([]byte{0, 0, 0, 0}, body...)
		sum := checksum(body)
		data[0], data[1], data[2], data[3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		n, cols := int(count)%maxWholeRows+1, []int{}
		for c := range int(columns % 8) {
			cols = append(cols, c)
		}
		d := Data{where: func(err error) error { return err }, hand: hand{Clock: clock}}
		if err := d.parse(data, &Chunk{Rows: uint32(n)}, len(cols)); err != nil {
			return
		}
		tb := &rows.Table{}
		err := d.Table(tb, cols, math.NaN())
		if err == nil && tb.Len() != n {
			t.Fatalf("%d rows, want %d", tb.Len(), n)
		}
		if err != nil {
			return
		}
		human, err := d.Commits(nil, tb.Times, tb.Kinds)
		for i := range tb.Kinds {
			if err != nil || tb.Kinds[i] == rows.Human && human[i] != tb.Commits[i] {
				t.Fatalf("human row %d is by commit %d, %v, want %d", i, human[i], err, tb.Commits[i])
			}
		}
	})
}
