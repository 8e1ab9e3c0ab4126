package backup

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac"
)

func cutUp(t testing.TB, data []byte, g grain) (out []piece) {
	t.Helper()
	n := 0
	for c := newCutter(bytes.NewReader(data), g); ; {
		b, err := c.next()
		if err == io.EOF {
			break
		}
		if err != nil || len(b) == 0 || len(b) > g.greatest {
			t.Fatal(len(b), err)
		}
		if !bytes.Equal(b, data[n:n+len(b)]) {
			t.Fatalf("the piece at %d is not what is there", n)
		}
		n += len(b)
		out = append(out, nameOf(b))
	}
	if n != len(data) {
		t.Fatalf("%d bytes of %d", n, len(data))
	}
	return out
}

// Pieces do not depend on where in a file they stand: of a file with a page put
// in, and of one that has grown, nearly all pieces are those of before.
func TestCut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 16<<20)
	for i := range len(data) / 8 {
		binary.LittleEndian.PutUint64(data[8*i:], r.Uint64())
	}
	src := Source{Fine: func(path string) bool { return path == "fine" }}
	for path, want := range map[string][2]int{"coarse": {6, 40}, "fine": {30, 90}} {
		g := src.grain(path)
		before := cutUp(t, data, g)
		if len(before) < want[0] || len(before) > want[1] {
			t.Errorf("%s: %d pieces of 16 MiB", path, len(before))
		}
		fresh := func(of []byte) (n int) {
			for _, p := range cutUp(t, of, g) {
				if !slices.Contains(before, p) {
					n++
				}
			}
			return n
		}
		at := 5 * pageBytes
		if n := fresh(slices.Concat(data[:at], make([]byte, pageBytes), data[at:])); n != 1 {
			t.Errorf("%s: a page put in at the beginning makes %d pieces new", path, n)
		}
		if n := fresh(append(slices.Clone(data), "more"...)); n != 1 {
			t.Errorf("%s: appended bytes make %d pieces new", path, n)
		}
		for _, n := range []int{0, 1, pageBytes, g.least, g.least + 1, g.greatest, g.greatest + 1} {
			same := cutUp(t, make([]byte, n), g) // of zeros, which never say cut
			if len(same) != (n+g.greatest-1)/g.greatest {
				t.Errorf("%s: %d zeros make %d pieces", path, n, len(same))
			}
		}
	}
	if src.grain("coarse") != (&Source{}).grain("fine") {
		t.Error("nobody has asked for fine pieces")
	}
}

// What is packed is unpacked, up to the greatest piece; nothing else is.
func TestPack(t *testing.T) {
	p, err := newPacker()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	random := make([]byte, 100_000)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	for _, data := range [][]byte{{1}, random, make([]byte, greatestPiece), bytes.Repeat([]byte("abc"), 99_999)} {
		object := p.pack(data)
		if len(object) > len(data)+9 {
			t.Errorf("%d bytes become %d", len(data), len(object))
		}
		got, err := p.unpack(object, nameOf(data))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		other := append(p.pack(append([]byte("x"), data[1:]...)), 0)
		for _, bad := range [][]byte{{}, object[:8], object[:len(object)-1], append(slices.Clone(object), 0), other, append([]byte("qtrpiec1\x07"), data...), bytes.Repeat([]byte{0}, 30)} {
			if _, err := p.unpack(bad, nameOf(data)); quantrac.KindOf(err) != quantrac.Corrupt {
				t.Errorf("%d bytes in place of %d: %v", len(bad), len(object), err)
			}
		}
	}
	// A small object must not become a great one.
	if _, err := p.unpack(append([]byte("qtrpiec1\x01"), p.enc.EncodeAll(make([]byte, 4*greatestPiece), nil)...), piece{strings.Repeat("0", 64), 5}); quantrac.KindOf(err) != quantrac.Corrupt {
		t.Errorf("32 MiB of zeros: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	p, err := newPacker()
	if err != nil {
		f.Fatal(err)
	}
	data := []byte("mực nước mực nước mực nước mực nước mực nước")
	f.Add(p.pack(data))
	f.Add([]byte("qtrpiec1\x00"))
	f.Fuzz(func(t *testing.T, object []byte) {
		got, err := p.unpack(object, nameOf(data))
		if err == nil && !bytes.Equal(got, data) || err != nil && quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func FuzzManifest(f *testing.F) {
	m := manifest{Format: manifestFormat, Name: "a", Created: 5, Files: []file{{Path: "x/y", Mode: 0o640, Bytes: 3, Pieces: []piece{nameOf([]byte("abc"))}}}}
	data, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:bytes.IndexByte(data, '\n')+1])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decode("a", append(line, checksum(line)...))
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Corrupt {
				t.Fatal(err)
			}
			return
		}
		if again, err := m.encode(); err != nil {
			t.Fatal(err)
		} else if _, err := decode("a", again); err != nil {
			t.Fatalf("read, written, and not read again: %v", err)
		}
	})
}

// A manifest that leads out of the folder, or cannot be, is refused though its
// checksum is right.
func TestManifest(t *testing.T) {
	ok := nameOf([]byte("abc"))
	for want, files := range map[string][]file{
		"":                         {{Path: "a"}, {Path: "b/c", Bytes: 3, Pieces: []piece{ok}}},
		`"../a" is no path`:        {{Path: "../a"}},
		`"/etc/passwd" is no path`: {{Path: "/etc/passwd"}},
		`"a/../b" is no path`:      {{Path: "a/../b"}},
		`"" is no path`:            {{Path: ""}},
		`"." is no path`:           {{Path: "."}},
		"no path below a folder":   {{Path: `a\b`}},
		"does not come after":      {{Path: "a"}, {Path: "a"}},
		"5 bytes in pieces":        {{Path: "a", Bytes: 5, Pieces: []piece{ok}}},
		"a: piece 0":               {{Path: "a", Bytes: 3, Pieces: []piece{{"../../x", 3}}}},
		"piece 0: ":                {{Path: "a", Bytes: 0, Pieces: []piece{{ok.SHA256, 0}}}},
		"of -1 bytes":              {{Path: "a", Bytes: 2, Pieces: []piece{ok, {ok.SHA256, -1}}}},
	} {
		m := manifest{Format: manifestFormat, Name: "n", Files: files}
		data, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		_, err = decode("n", data)
		if want == "" && err != nil || want != "" && (quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v: %v", files, err)
		}
		data[3] ^= 1
		if _, err := decode("n", data); quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("damaged: %v", err)
		}
	}
	later := manifest{Format: 2, Name: "n"}
	data, err := later.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decode("n", data); err == nil || !strings.Contains(err.Error(), "format 2; this program reads 1") {
		t.Errorf("a later one: %v", err)
	}
	if _, err := decode("m", data); err == nil {
		t.Error("a manifest of another name is taken")
	}
}

// Which backups stay: days, weeks and months are those of the province.
func TestChoose(t *testing.T) {
	var all []stored
	at := func(text string) {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		m := &manifest{Name: strings.ReplaceAll(text[5:16], ":", "."), Created: quantrac.FloorMillis(when)}
		all = append(all, stored{m, m.describe()})
	}
	for _, text := range []string{
		"2026-09-15T12:00:00+07:00", "2026-10-01T00:30:00+07:00", "2026-10-31T12:00:00+07:00",
		"2026-11-01T12:00:00+07:00", "2026-11-02T00:10:00+07:00", // Sunday, Monday
		"2026-11-03T01:00:00+07:00", "2026-11-03T23:00:00+07:00", "2026-11-04T01:00:00+07:00",
	} {
		at(text)
	}
	for want, k := range map[string]Keep{
		"11-04T01.00":                                                 {Last: 1},
		"11-04T01.00 11-03T23.00":                                     {Last: 2},
		"11-04T01.00 11-03T23.00 11-02T00.10":                         {Daily: 3},
		"11-04T01.00 11-01T12.00":                                     {Weekly: 2},
		"11-04T01.00 10-31T12.00 09-15T12.00":                         {Monthly: 9},
		"11-04T01.00 11-03T23.00 11-03T01.00 11-01T12.00 10-31T12.00": {Last: 3, Weekly: 2, Monthly: 2},
		"11-04T01.00 11-03T23.00 11-03T01.00 11-02T00.10 11-01T12.00 10-31T12.00 10-01T00.30 09-15T12.00": {Last: 99},
		"11-04T01.00 11-03T01.00 11-02T00.10 11-01T12.00 10-31T12.00 10-01T00.30 09-15T12.00":             {Delete: []string{"11-03T23.00"}},
		"11-03T23.00": {Last: 1, Delete: []string{"11-04T01.00"}},
	} {
		got, err := k.choose(all)
		if err != nil || strings.Join(got.Kept, " ") != want || len(got.Kept)+len(got.Deleted) != len(all) {
			t.Errorf("%+v keeps %v, want %s; %v", k, got.Kept, want, err)
		}
	}
	if _, err := (Keep{Delete: []string{"none"}}).choose(all); quantrac.KindOf(err) != quantrac.NotFound {
		t.Errorf("a name that is not there: %v", err)
	}
}
