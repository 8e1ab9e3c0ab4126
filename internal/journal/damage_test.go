package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

// filledJournal returns a journal of three segments of calls of two records, and its contents.
func filledJournal(t testing.TB, clean bool) (*vfs.Mem, []string) {
	t.Helper()
	mem := vfs.NewMem()
	j := open(t, mem, small(quantrac.NewManualClock(noon)))
	var want []string
	for i := range 16 {
		a, b := fmt.Sprintf("%d.a%s", i, strings.Repeat("x", 40*i)), fmt.Sprintf("%d.b", i)
		mustAppend(t, j, a, b)
		want = append(want, fmt.Sprintf("%d:%s", 2*i+1, a), fmt.Sprintf("%d:%s", 2*i+2, b))
	}
	if !clean {
		return mem.Crash(0), want
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return mem, want
}

func lastSegment(t testing.TB, mem *vfs.Mem) string {
	t.Helper()
	names, err := mem.ReadDir("/j")
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, name := range names {
		if strings.HasSuffix(name, segmentSuffix) {
			last = "/j/" + name
		}
	}
	if last < "/j/0000000003" {
		t.Fatalf("too few segments: %q", names)
	}
	return last
}

// readAll opens the journal and reads all of it.
func readAll(fsys vfs.FS) ([]string, error) {
	j, err := Open(fsys, "/j", small(quantrac.NewManualClock(noon)))
	if err != nil {
		return nil, err
	}
	got, err := replay(j, 0)
	return got, errors.Join(err, j.Close())
}

// TestFlipBits turns over bits of a closed journal, one at a time: either
// nothing is lost or the error is of kind Corrupt and names file and offset.
func TestFlipBits(t *testing.T) {
	mem, want := filledJournal(t, true)
	names, err := mem.ReadDir("/j")
	if err != nil {
		t.Fatal(err)
	}
	flips, harmless := 0, 0
	for _, name := range names {
		if !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		path := "/j/" + name
		data, err := vfs.ReadFile(mem, path)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range 8 * len(data) {
			if path != lastSegment(t, mem) && bit%8 != (bit/8)%8 {
				continue // of the older segments one bit of each byte
			}
			copied := mem.Crash(0)
			flip(t, copied, path, bit)
			got, err := readAll(copied)
			flips++
			switch {
			case err == nil:
				harmless++
				if strings.Join(got, " ") != strings.Join(want, " ") {
					t.Fatalf("%s bit %d: entries lost without an error: %d of %d", name, bit, len(got), len(want))
				}
			case quantrac.KindOf(err) == quantrac.Corrupt && strings.Contains(err.Error(), path) && strings.Contains(err.Error(), "offset"):
			default:
				t.Fatalf("%s bit %d: kind %s: %v", name, bit, quantrac.KindOf(err), err)
			}
		}
	}
	if want := 8 * frameSize; harmless != want || flips < 10_000 { // those in the mark of the clean end
		t.Errorf("%d of %d flips were harmless, want %d", harmless, flips, want)
	}
}

func flip(t testing.TB, fsys vfs.FS, path string, bit int) {
	t.Helper()
	data, err := vfs.ReadFile(fsys, path)
	if err != nil {
		t.Fatal(err)
	}
	data[bit/8] ^= 1 << (bit % 8)
	if err := vfs.WriteFile(fsys, path, data, 0o640); err != nil {
		t.Fatal(err)
	}
}

// TestFlipAfterCrash does the same to a journal that was not closed. Only the
// last record can be taken for a torn write then: nothing behind it proves that
// it was ever acknowledged.
func TestFlipAfterCrash(t *testing.T) {
	mem, want := filledJournal(t, false)
	path := lastSegment(t, mem)
	data, err := vfs.ReadFile(mem, path)
	if err != nil {
		t.Fatal(err)
	}
	lastRecord := strings.LastIndex(string(data), "15.b") - frameSize
	for bit := range 8 * len(data) {
		copied := mem.Crash(0)
		flip(t, copied, path, bit)
		got, err := readAll(copied)
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), path) {
				t.Fatalf("bit %d: %v", bit, err)
			}
			continue
		}
		if strings.Join(got, " ") != strings.Join(want, " ") && bit/8 < lastRecord {
			t.Fatalf("bit %d of offset %d: entries lost without an error: %d of %d", bit, bit/8, len(got), len(want))
		}
	}
}

// TestCutAnywhere cuts the last segment at every length: all whole calls in
// front are there.
func TestCutAnywhere(t *testing.T) {
	mem, want := filledJournal(t, false)
	path := lastSegment(t, mem)
	data, err := vfs.ReadFile(mem, path)
	if err != nil {
		t.Fatal(err)
	}
	least := len(want)
	for n := len(data); n >= 0; n-- {
		copied := mem.Crash(0)
		if err := vfs.WriteFile(copied, path, data[:n], 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(copied)
		if err != nil {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		if size := sizeAfterOpen(t, copied.Crash(0), path); size > int64(n) || size > headerSize && size > int64(strings.LastIndex(string(data[:n]), ".b")+2) {
			t.Fatalf("cut to %d bytes: %d are left after opening", n, size)
		}
		if len(got) > least || len(got)%2 != 0 {
			t.Fatalf("cut to %d bytes: %d entries, %d with a byte more", n, len(got), least)
		}
		equal(t, got, want[:len(got)])
		least = len(got)
	}
	if least == len(want) || least == 0 {
		t.Errorf("%d entries in the segments before", least)
	}
}

// sizeAfterOpen opens the journal, leaves it without closing it, and returns
// the size of a file.
func sizeAfterOpen(t *testing.T, mem *vfs.Mem, path string) int64 {
	t.Helper()
	open(t, mem, small(quantrac.NewManualClock(noon)))
	info, err := mem.Stat(path)
	if err != nil {
		return 0 // without a header it counts for nothing
	}
	return info.Size()
}

// TestZeroedSectors: sectors that a disk never wrote are a torn write in the
// last group of a journal that was not closed, and damage anywhere else.
func TestZeroedSectors(t *testing.T) {
	for _, c := range []struct {
		name    string
		group   int // which of three groups of ten records loses a sector; 3: the end of the last record
		clean   bool
		corrupt bool
	}{
		{"last group after a crash", 2, false, false},
		{"last group after a close", 2, true, true},
		{"last record after a crash", 3, false, false},
		{"last record after a close", 3, true, true},
		{"group before, after a crash", 1, false, true},
		{"group before, after a close", 1, true, true},
	} {
		mem := vfs.NewMem()
		o := small(quantrac.NewManualClock(noon))
		o.SegmentBytes = 1 << 20
		j := open(t, mem, o)
		var starts []int64
		for g := range 3 {
			starts = append(starts, j.w.off)
			var texts []string
			for i := range 10 {
				texts = append(texts, fmt.Sprintf("%300d", 10*g+i))
			}
			mustAppend(t, j, texts...)
		}
		end := j.w.off
		if c.clean {
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
		mem = mem.Crash(0)
		path := "/j/0000000001.journal"
		data, err := vfs.ReadFile(mem, path)
		if err != nil {
			t.Fatal(err)
		}
		if c.group == 3 {
			clear(data[max(end/sectorSize*sectorSize, end-frameSize-300):end])
		} else {
			at := (starts[c.group]/sectorSize + 3) * sectorSize
			clear(data[at : at+sectorSize])
		}
		if err := vfs.WriteFile(mem, path, data, 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(mem)
		switch {
		case c.corrupt && quantrac.KindOf(err) != quantrac.Corrupt:
			t.Errorf("%s: %d entries, %v", c.name, len(got), err)
		case !c.corrupt && (err != nil || len(got) != 20): // the call is gone whole
			t.Errorf("%s: %d entries, %v", c.name, len(got), err)
		}
	}
}

// TestMadeUpSegments: records that are whole but cannot follow each other.
func TestMadeUpSegments(t *testing.T) {
	at := func(number uint64, time quantrac.Millis, bits uint8) []byte {
		b := appendFrame(nil, &Record{Kind: 1, Data: []byte("x")}, bits)
		finishFrame(b, 0, quantrac.Commit{Number: number, Time: time})
		return b
	}
	seal := func(number uint64) []byte {
		b := appendFrame(nil, &Record{}, bitSeal)
		finishFrame(b, 0, quantrac.Commit{Number: number, Time: noon})
		return b
	}
	for _, c := range []struct {
		name    string
		frames  [][]byte
		entries int // -1 for damage
	}{
		{"in order", [][]byte{at(1, noon, 0), at(2, noon, 0)}, 2},
		{"closed", [][]byte{at(1, noon, 0), at(2, noon, 0), seal(2)}, 2},
		{"half a call", [][]byte{at(1, noon, 0), at(2, noon, bitMore)}, 1},
		{"number twice", [][]byte{at(1, noon, 0), at(1, noon, 0)}, -1},
		{"number left out", [][]byte{at(1, noon, 0), at(3, noon, 0)}, -1},
		{"first number", [][]byte{at(2, noon, 0)}, -1},
		{"time backwards", [][]byte{at(1, noon, 0), at(2, noon-1, 0)}, -1},
		{"clean end in the middle", [][]byte{at(1, noon, 0), seal(1), at(2, noon, 0)}, -1},
		{"clean end of another journal", [][]byte{at(1, noon, 0), seal(3)}, -1},
		{"clean end within a call", [][]byte{at(1, noon, 0), at(2, noon, bitMore), seal(2)}, -1},
	} {
		mem := vfs.NewMem()
		if err := mem.MkdirAll("/j", 0o755); err != nil {
			t.Fatal(err)
		}
		data := header{epoch: 1, sequence: 1, first: 1}.encode()
		for _, f := range c.frames {
			data = append(data, f...)
		}
		if err := vfs.WriteFile(mem, "/j/0000000001.journal", data, 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(mem)
		if c.entries < 0 && quantrac.KindOf(err) != quantrac.Corrupt || c.entries >= 0 && (err != nil || len(got) != c.entries) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

// TestMissingSegment: a hole between segments is damage, not an end.
func TestMissingSegment(t *testing.T) {
	mem, _ := filledJournal(t, true)
	if err := mem.Remove("/j/0000000002.journal"); err != nil {
		t.Fatal(err)
	}
	_, err := readAll(mem)
	if quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "0000000001.journal") {
		t.Errorf("a missing segment: %v", err)
	}
}

// TestForeignVersion: a header of another version is refused as it is and the
// file is left alone.
func TestForeignVersion(t *testing.T) {
	mem := vfs.NewMem()
	if err := mem.MkdirAll("/j", 0o755); err != nil {
		t.Fatal(err)
	}
	h := header{epoch: 1, sequence: 1, first: 1}.encode()
	h[8] = 2
	resum(h)
	if err := vfs.WriteFile(mem, "/j/0000000001.journal", h, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := Open(mem, "/j", small(nil))
	if quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("version 2: %v", err)
	}
	if _, err := mem.Stat("/j/0000000001.journal"); err != nil {
		t.Errorf("the file: %v", err)
	}
}

// TestCallIsWhole: a crash that cuts exactly between two records of a call
// takes both.
func TestCallIsWhole(t *testing.T) {
	mem, want := filledJournal(t, false)
	path := lastSegment(t, mem)
	data, err := vfs.ReadFile(mem, path)
	if err != nil {
		t.Fatal(err)
	}
	cut := strings.LastIndex(string(data), "15.b") - frameSize
	if err := vfs.WriteFile(mem, path, data[:cut], 0o640); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(mem)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, want[:len(want)-2])
}

// FuzzRecover opens whatever bytes as the last of two segments. There is no
// panic, no endless loop, no memory beyond the file's size, and what is read
// is in order; opening a second time gives the same.
func FuzzRecover(f *testing.F) {
	mem, _ := filledJournal(f, true)
	for _, name := range []string{"/j/0000000001.journal", lastSegment(f, mem)} {
		data, err := vfs.ReadFile(mem, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, true)
		f.Add(data[:len(data)-frameSize-3], true)
		data[headerSize+4] ^= 0x80
		f.Add(data, true)
	}
	noise := make([]byte, 4096)
	fill(noise, 0)
	f.Add(noise, false)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, data []byte, repair bool) {
		mem := vfs.NewMem()
		if err := mem.MkdirAll("/j", 0o755); err != nil {
			t.Fatal(err)
		}
		if repair { // let the fuzzer get behind the checksums
			data = mend(data)
		}
		if err := vfs.WriteFile(mem, "/j/0000000001.journal", data, 0o640); err != nil {
			t.Fatal(err)
		}
		first, err := readAny(mem)
		if err != nil {
			if k := quantrac.KindOf(err); k != quantrac.Corrupt && k != quantrac.Invalid && k != quantrac.Unavailable {
				t.Fatalf("kind %s: %v", k, err)
			}
			return
		}
		second, err := readAny(mem)
		if err != nil {
			t.Fatalf("opened once, not twice: %v", err)
		}
		equal(t, second, first)
	})
}

// readAny reads a journal with any times and commit numbers.
func readAny(fsys vfs.FS) ([]string, error) {
	o := small(quantrac.NewManualClock(quantrac.MaxMillis))
	o.ReserveBytes = -1
	j, err := Open(fsys, "/j", o)
	if err != nil {
		return nil, err
	}
	got, err := replay(j, j.First()-1)
	return got, errors.Join(err, j.Close())
}

// mend puts right the checksums of a segment.
func mend(data []byte) []byte {
	data = append([]byte(nil), data...)
	if len(data) >= headerSize {
		resum(data[:headerSize])
	}
	for at := headerSize; at+frameSize <= len(data) && frameLen(data[at:]) <= len(data)-at; {
		n := frameLen(data[at:])
		resumFrame(data[at : at+n])
		at += n
	}
	return data
}

func TestEntriesOfAllKindsComeBack(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem, small(nil))
	recs := []Record{
		{Kind: quantrac.RecordBatch, Layer: quantrac.LayerDevice, Flags: 0, Data: nil},
		{Kind: quantrac.RecordWarning, Layer: quantrac.LayerHuman, Flags: 0xffff, Data: []byte{0}},
		{Kind: 255, Layer: 255, Flags: 0x0102, Data: []byte("data"), Priority: true},
	}
	if _, err := j.Append(context.Background(), recs...); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		i := 0
		if err := j.Replay(context.Background(), 0, func(e Entry) error {
			r := recs[i]
			i++
			if e.Kind != r.Kind || e.Layer != r.Layer || e.Flags != r.Flags || string(e.Data) != string(r.Data) {
				t.Errorf("entry %+v of record %+v", e, r)
			}
			return nil
		}); err != nil || i != len(recs) {
			t.Fatalf("%d entries, %v", i, err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, mem, small(nil))
	}
}

// TestFormat fixes the bytes of FORMAT.md.
func TestFormat(t *testing.T) {
	h := header{epoch: 0x0102, sequence: 7, first: 0x1122334455667788, previous: 0x0a0b, created: noon}.encode()
	wantHeader := "515452434a524e4c" + "01000000" + "40000000" + "0201000000000000" + "0700000000000000" +
		"8877665544332211" + "0b0a000000000000" + fmt.Sprintf("%x", le64(uint64(noon))) + "00000000"
	if got := fmt.Sprintf("%x", h[:60]); got != wantHeader {
		t.Errorf("header\n%s, want\n%s", got, wantHeader)
	}
	if got, err := decodeHeader(h); err != nil || got.epoch != 0x0102 || got.sequence != 7 || got.first != 0x1122334455667788 || got.previous != 0x0a0b || got.created != noon {
		t.Errorf("decoded %+v, %v", got, err)
	}
	b := appendFrame(nil, &Record{Kind: 3, Layer: 1, Flags: 0xbeef, Data: []byte("mưa")}, bitMore)
	finishFrame(b, 0x0203, quantrac.Commit{Number: 0x0405, Time: 0x0607})
	const want = "04000000" + "01030101" + "efbe" + "0302" + "0504000000000000" + "0706000000000000" + "6dc6b061"
	if got := fmt.Sprintf("%x", b[4:]); got != want {
		t.Errorf("record\n%s, want\n%s", got, want)
	}
	// CRC32C of "123456789" is e3069283 (RFC 3720 gives the polynomial; the
	// check value is the usual one).
	if got := crc32.Checksum([]byte("123456789"), castagnoli); got != 0xe3069283 {
		t.Errorf("crc32c %08x", got)
	}
	if got := binary.LittleEndian.Uint32(b); got != crc32.Checksum(b[4:], castagnoli) {
		t.Errorf("checksum %08x", got)
	}
	// splitmix64 of seed 0 begins like this.
	var f [16]byte
	fill(f[:], 0)
	if got := fmt.Sprintf("%x", f); got != fmt.Sprintf("%x%x", le64(0xe220a8397b1dcdaf), le64(0x6e789e6aa1b965f4)) {
		t.Errorf("reserve begins %s", got)
	}
}

func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
