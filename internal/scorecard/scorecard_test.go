package scorecard_test

import (
	"strings"
	"testing"

	"quantrac/internal/scorecard"
)

func TestPrint(t *testing.T) {
	for _, c := range []struct {
		name string
		card []scorecard.Row
		want string
		all  bool
	}{
		{"short", []scorecard.Row{
			{Name: "a", Measured: "1.2", Wanted: "≤ 1"},
			{Name: "b", Measured: "0.9", Wanted: "≤ 1", OK: true},
			{Name: "c", Measured: "7"},
		}, "a, 1.2, ≤ 1, short\nb, 0.9, ≤ 1, ok\nc, 7, , reported\n1 of 2 held\n", false},
		{"all", []scorecard.Row{{Name: "b", Measured: "0.9", Wanted: "≤ 1", OK: true}}, "b, 0.9, ≤ 1, ok\n1 of 1 held\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			all, err := scorecard.Print(&b, c.card)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != c.want || all != c.all {
				t.Errorf("got %q, %v, want %q, %v", b.String(), all, c.want, c.all)
			}
		})
	}
}
