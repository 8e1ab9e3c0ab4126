package exchange

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"quantrac"
)

// TestCutShort reads files that end in the middle: the error says where.
func TestCutShort(t *testing.T) {
	const line = `{"metric":{"__name__":"a_meters","station":"s"},"values":[1],"timestamps":[1790000000000]}` + "\n"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, strings.Repeat(line, 3)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{4, 12} { // of the checksum, of the data
		z, err := gzip.NewReader(bytes.NewReader(packed.Bytes()[:packed.Len()-cut]))
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(z, JSONLines, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next()
		}
		if quantrac.KindOf(err) != quantrac.Invalid || !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%d bytes are missing: %v", cut, err)
		}
	}
}
