package commits

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/files"
)

func writeFile(t *testing.T, fsys vfs.FS, name string, write func(f vfs.File) error) *File {
	t.Helper()
	h, err := fsys.Create(name)
	if err == nil {
		err = write(h)
	}
	if err == nil {
		err = h.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(files.New(fsys, 1), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A log answers the same wherever its commits lie: in memory, in files, in
// merged files, read anew. In merged files times are whole seconds.
func TestLog(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	fsys := vfs.NewMem()
	l := NewLog(nil)
	var all []quantrac.Commit
	at := quantrac.Commit{Number: 0, Time: 1000}
	merged := [2]int{} // of all, those in a merged file
	told := func(i int) quantrac.Millis {
		if i >= merged[0] && i < merged[1] {
			return UpToSecond(all[i].Time)
		}
		return all[i].Time
	}
	check := func(l *Log) {
		t.Helper()
		for range 400 {
			q := quantrac.Millis(900 + rnd.Int64N(int64(at.Time)-800))
			if rnd.IntN(2) == 0 {
				q = q / 1000 * 1000
			}
			want := uint64(0)
			for _, c := range all {
				if c.Time <= q/1000*1000 {
					want = c.Number
				}
			}
			if got, err := l.AsOf(q); err != nil || got != want {
				t.Fatalf("AsOf(%d) = %d, %v, want %d", q, got, err, want)
			}
			if len(all) == 0 {
				continue
			}
			i := rnd.IntN(len(all))
			if got, err := l.Time(all[i].Number); err != nil || got != told(i) {
				t.Fatalf("Time(%d) = %d, %v, want %d", all[i].Number, got, err, told(i))
			}
		}
		if _, err := l.Time(at.Number + 1); quantrac.KindOf(err) != quantrac.NotFound {
			t.Fatalf("an unknown commit: %v", err)
		}
	}
	check(l)
	for round := range 6 {
		for i := range 3500 {
			at.Number += uint64(1 + rnd.IntN(3))
			at.Time += quantrac.Millis(rnd.IntN(40))
			var ch *Change
			switch i % 500 {
			case 3:
				ch = &Change{Commit: at.Number, Author: "lan", Reason: fmt.Sprint(round), Correction: fmt.Sprint("c", round)}
			case 4:
				ch = &Change{Commit: at.Number, Author: "lan", Reason: "alone"}
			case 400:
				ch = &Change{Commit: at.Number, Author: "minh", Reason: "no", Correction: fmt.Sprint("c", round), Revocation: true}
			}
			all = append(all, at)
			l.Add(at, ch)
		}
		check(l)
		cs, chs := l.Pending()
		f := writeFile(t, fsys, fmt.Sprint(round), func(f vfs.File) error { return Write(f, cs, chs) })
		l.Settle(f, len(cs), len(chs))
		check(l)
		if round == 3 {
			f := writeFile(t, fsys, "merged", func(f vfs.File) error { return l.Merge(f, 1, 4) })
			l.Replace(1, 4, f)
			merged = [2]int{3500, 14_000}
			check(l)
		}
	}
	var names []string
	for _, f := range l.Files() {
		names = append(names, f.Path())
	}
	var opened []*File
	for _, n := range names {
		f, err := Open(files.New(fsys, 1), n, nil)
		if err != nil {
			t.Fatal(err)
		}
		opened = append(opened, f)
	}
	again := NewLog(opened)
	check(again)
	if len(again.changes) != len(l.changes) || len(l.changes) != 6*21 {
		t.Errorf("%d changes read anew, had %d, want 126", len(again.changes), len(l.changes))
	}
	for n, c := range l.changes {
		if got, ok := again.Change(n); !ok || got != *c {
			t.Errorf("change %d read anew: %+v, want %+v", n, got, c)
		}
		if got := again.Revoked(n); got != c.Revoked || (c.Correction != "" && !c.Revocation) != (got != 0) {
			t.Errorf("change %d revoked by %d: %+v", n, got, c)
		}
	}
	if l.Stands("c0") || again.Stands("c0") {
		t.Error("a revoked correction stands")
	}
}

func sampleFile() []byte {
	var b bytes.Buffer
	var cs []quantrac.Commit
	for i := range 13_000 {
		cs = append(cs, quantrac.Commit{Number: uint64(2 * i), Time: quantrac.Millis(1000 + i*i/180)})
	}
	_ = Write(&b, cs, []*Change{{Commit: 4, Author: "a", Reason: "b", Correction: "c"}, {Commit: 6, Author: "a", Reason: "bc", Correction: "c", Revocation: true}})
	return b.Bytes()
}

func openBytes(t *testing.T, data []byte) (*File, error) {
	fsys := vfs.NewMem()
	h, err := fsys.Create("f")
	if err == nil {
		_, err = h.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Open(files.New(fsys, 1), "f", nil)
}

// Every single damaged byte is noticed: on opening, or when its page is read.
func TestDamage(t *testing.T) {
	data := sampleFile()
	for i := headerSize; i < len(data); i += 7 {
		bad := bytes.Clone(data)
		bad[i] ^= 0x10
		f, err := openBytes(t, bad)
		for k := 0; err == nil && k < len(f.pages); k++ {
			_, err = f.read(&f.pages[k])
		}
		if quantrac.KindOf(err) != quantrac.Corrupt && i < len(data)-11 { // the footer has spare bytes
			t.Fatalf("byte %d of %d: error %v, want one of kind Corrupt", i, len(data), err)
		}
	}
	for n := range data {
		if _, err := openBytes(t, data[:n]); quantrac.KindOf(err) != quantrac.Corrupt {
			t.Fatalf("cut to %d bytes: error %v", n, err)
		}
	}
}

func FuzzDirectory(f *testing.F) {
	data := sampleFile()
	file, _ := openBytes(&testing.T{}, data)
	f.Add(data[file.pages[len(file.pages)-1].offset+int64(file.pages[len(file.pages)-1].size):len(data)-footerSize], file.pages[len(file.pages)-1].offset+int64(file.pages[len(file.pages)-1].size))
	f.Fuzz(func(t *testing.T, dir []byte, end int64) {
		file := File{version: 1 + uint8(end)%Version}
		if err := file.directory(dir, end); err == nil && len(file.pages) == 0 {
			t.Fatal("no pages and no error")
		}
	})
}

func FuzzPage(f *testing.F) {
	data := sampleFile()
	file, _ := openBytes(&testing.T{}, data)
	p := &file.pages[0]
	f.Add(data[p.offset+4:p.offset+int64(p.size)], p.count, uint8(2))
	f.Add(data[p.offset+5:p.offset+int64(p.size)], p.count, uint8(1)) // it had no unit
	f.Fuzz(func(t *testing.T, body []byte, count uint32, version uint8) {
		count = 1 + count%pageLen
		sum := checksum(body)
		buf := append([]byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)}, body...)
		if out, err := decodePage(buf, &page{count: count}, 1+version%Version); err == nil && len(out) != int(count) {
			t.Fatalf("%d commits, want %d", len(out), count)
		}
	})
}

// BenchmarkOpen opens a merged file of a million commits, three a second, and
// says what they take on disk and in memory.
func BenchmarkOpen(b *testing.B) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var cs []quantrac.Commit
	at := quantrac.Commit{Time: 1_790_000_000_000}
	for range 1_000_000 {
		at.Number += 1 + uint64(rnd.IntN(100)/99)
		at.Time += quantrac.Millis(rnd.ExpFloat64() * 300)
		cs = append(cs, at)
	}
	fsys := vfs.NewMem()
	h, err := fsys.Create("plain")
	if err == nil {
		err = Write(h, cs, nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	f, err := Open(files.New(fsys, 1), "plain", nil)
	if err != nil {
		b.Fatal(err)
	}
	l := NewLog([]*File{f})
	if h, err = fsys.Create("merged"); err == nil {
		err = l.Merge(h, 0, 1)
	}
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if f, err = Open(files.New(fsys, 1), "merged", nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(8*float64(f.Size())/float64(len(cs)), "bits/commit")
	b.ReportMetric(float64(len(f.pages))*float64(unsafe.Sizeof(page{})), "B-memory")
}
