package quantrac

import (
	"strings"
	"testing"
)

// A key is cut into the labels it was made of.
func TestCutLabel(t *testing.T) {
	long := strings.Repeat("v", MaxLabelValueBytes)
	for _, want := range []Labels{
		{}, NewLabels("station", "s1"), NewLabels("area", "a", "basin", strings.Repeat("b", 127), "river", long, "station", strings.Repeat("s", 128)),
	} {
		rest, got := want.Key(), Labels{}
		for rest != "" {
			var l Label
			l, rest = CutLabel(rest)
			got = append(got, l)
		}
		if !got.Equal(want) {
			t.Errorf("%v comes back as %v", want, got)
		}
	}
	for _, bad := range []string{"", "\x05ab", "\x01a", "\x01a\x09b", "\xff\xff\xff\xff\xff\xff", "\x01a\xff"} {
		if l, rest := CutLabel(bad); rest != "" || l.Value != "" {
			t.Errorf("%q is cut into %v and %q", bad, l, rest)
		}
	}
}
