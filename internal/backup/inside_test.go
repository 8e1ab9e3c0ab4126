package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/vfs"
)

func cutUp(t testing.TB, data []byte) (out []piece) {
	t.Helper()
	n := 0
	for c := newCutter(bytes.NewReader(data)); ; {
		b, err := c.next()
		if err == io.EOF {
			break
		}
		if err != nil || len(b) == 0 || len(b) > greatestPiece {
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
	data := make([]byte, 24<<20)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	before := cutUp(t, data)
	if len(before) < 10 || len(before) > 60 {
		t.Errorf("%d pieces of 24 MiB", len(before))
	}
	fresh := func(of []byte) (n int) {
		for _, p := range cutUp(t, of) {
			if !slices.Contains(before, p) {
				n++
			}
		}
		return n
	}
	at := 5 * pageBytes
	if n := fresh(slices.Concat(data[:at], make([]byte, pageBytes), data[at:])); n != 1 {
		t.Errorf("a page put in at the beginning makes %d pieces new", n)
	}
	if n := fresh(append(slices.Clone(data), "more"...)); n != 1 {
		t.Errorf("appended bytes make %d pieces new", n)
	}
	for _, n := range []int{0, 1, pageBytes, leastPiece, leastPiece + 1, greatestPiece, greatestPiece + 1, 20 << 20} {
		same := cutUp(t, make([]byte, n)) // of zeros, which never say cut
		if n == 0 && len(same) != 0 || n > 0 && len(same) != (n+greatestPiece-1)/greatestPiece {
			t.Errorf("%d zeros make %d pieces", n, len(same))
		}
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

// aged is a store whose objects are older than they are.
type aged struct {
	Store
	mu  sync.Mutex
	age map[string]time.Duration
	now time.Time
}

func (a *aged) List(ctx context.Context, prefix string, each func(Object) error) error {
	return a.Store.List(ctx, prefix, func(o Object) error {
		a.mu.Lock()
		o.Modified = a.now.Add(-a.age[o.Name])
		a.mu.Unlock()
		return each(o)
	})
}

func (a *aged) set(name string, age time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.age[name] = age
}

func (a *aged) names(t *testing.T, prefix string) (out []string) {
	t.Helper()
	if err := a.List(t.Context(), prefix, func(o Object) error { out = append(out, o.Name); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func newAged() *aged {
	return &aged{Store: Folder(vfs.NewMem(), "/"), age: map[string]time.Duration{}, now: time.Unix(1e9, 0)}
}

func sourceOf(t *testing.T, texts ...string) Source {
	t.Helper()
	m := vfs.NewMem()
	for i, text := range texts {
		if err := vfs.WriteFile(m, fmt.Sprintf("/%d", i), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Source{FS: m, Dir: "/"}
}

// Prune deletes what no backup names, but for what is young, and nothing when
// asked to only say it.
func TestPrune(t *testing.T) {
	s := newAged()
	clock := quantrac.NewManualClock(1_800_000_000_000)
	target := New(s, Options{Clock: clock})
	for i, texts := range [][]string{{"shared", "first"}, {"shared", "second"}, {"shared", "third"}} {
		clock.Advance(24 * time.Hour)
		if _, _, err := target.Create(t.Context(), sourceOf(t, texts...), Info{Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := nameOf([]byte("first")).object(), nameOf([]byte("second")).object()
	leftover := unfinished + "/x.tmp"
	if err := s.Put(t.Context(), leftover, []byte("cut short")); err != nil {
		t.Fatal(err)
	}
	s.set(first, 2*grace)
	s.set(nameOf([]byte("shared")).object(), 2*grace)
	s.set(leftover, 2*grace)
	if _, err := target.Prune(t.Context(), Keep{}, false); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("keep nothing: %v", err)
	}
	for _, dry := range []bool{true, false} {
		got, err := target.Prune(t.Context(), Keep{Daily: 1}, dry)
		if err != nil || len(got.Deleted) != 2 || got.Pieces != 1 || got.Bytes != int64(len("qtrpiec1_first")+len("cut short")) {
			t.Errorf("dry %t: %+v, %v", dry, got, err)
		}
		if left := s.names(t, pieceFolder); slices.Contains(left, first) != dry || !slices.Contains(left, second) {
			t.Errorf("dry %t: left are %v", dry, left)
		}
	}
	if slices.Contains(s.names(t, ""), leftover) {
		t.Error("what was cut short is there still")
	}
	if got, err := target.Verify(t.Context(), "", false); err != nil || got.Err() != nil || got.Backups != 1 {
		t.Errorf("what is left: %+v, %v", got, err)
	}
}

// Create and Prune give way to each other, until who is at work has not been
// heard of for a while.
func TestClaims(t *testing.T) {
	s := newAged()
	target := New(s, Options{})
	src := sourceOf(t, "text")
	if _, _, err := target.Create(t.Context(), src, Info{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	prune := func() error { _, err := target.Prune(t.Context(), Keep{Last: 1}, false); return err }
	made := func(name string) error { _, _, err := target.Create(t.Context(), src, Info{Name: name}); return err }
	for _, c := range []struct {
		why           purpose
		create, prune quantrac.ErrorKind
	}{{shipping, quantrac.KindNone, quantrac.Busy}, {deleting, quantrac.Busy, quantrac.Busy}} {
		_, claim, err := target.claim(t.Context(), c.why)
		if err != nil {
			t.Fatal(err)
		}
		if err := made("beside-" + string(c.why)); quantrac.KindOf(err) != c.create || (err == nil) != (c.create == quantrac.KindNone) {
			t.Errorf("create beside a %s: %v", c.why, err)
		}
		if err := prune(); quantrac.KindOf(err) != c.prune || !strings.Contains(err.Error(), string(c.why)) {
			t.Errorf("prune beside a %s: %v", c.why, err)
		}
		if left := s.names(t, claimFolder); len(left) != 1 {
			t.Errorf("who gave way left %v", left)
		}
		s.set(claim.name, target.life+time.Second) // as it is killed
		if err := made("after-" + string(c.why)); err != nil {
			t.Errorf("create long after a %s: %v", c.why, err)
		}
		if err := prune(); err != nil {
			t.Errorf("prune long after a %s: %v", c.why, err)
		}
		if left := s.names(t, claimFolder); len(left) != 0 {
			t.Errorf("prune left %v", left)
		}
		claim.release(t.Context())
	}
}

// deaf is a store that takes no claims any more once it is told so.
type deaf struct {
	Store
	mu sync.Mutex
	on bool
}

func (d *deaf) Put(ctx context.Context, name string, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on && strings.HasPrefix(name, claimFolder) {
		return errors.New("no")
	}
	return d.Store.Put(ctx, name, data)
}

// Who cannot renew its claim in time writes no manifest.
func TestClaimLost(t *testing.T) {
	d := &deaf{Store: Folder(vfs.NewMem(), "/")}
	target := New(d, Options{})
	target.life = 30 * time.Millisecond
	work, claim, err := target.claim(t.Context(), shipping)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.on = true
	d.mu.Unlock()
	<-work.Done()
	if err := context.Cause(work); quantrac.KindOf(err) != quantrac.Unavailable || claim.fresh() == nil {
		t.Errorf("%v", err)
	}
	claim.release(t.Context())
}
