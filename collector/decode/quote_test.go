package decode

import (
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	long := "a b=1," + strings.Repeat("x", MaxFaultText)
	faults := []Fault{{Row: 1}, {Row: 3, Text: "kept"}, {Row: 3}, {Row: 4}, {Row: 9}}
	Quote(faults, []byte("m v=1\r\n\nm v=2\n"+long))
	want := []string{"m v=1", "kept", "m v=2", long[:MaxFaultText] + "…", ""}
	for i, f := range faults {
		if f.Text != want[i] {
			t.Errorf("fault %d of row %d is quoted as %q, want %q", i, f.Row, f.Text, want[i])
		}
	}
}
