package collector

import (
	"fmt"
	"strings"
	"testing"

	"quantrac"
)

// What is brought from elsewhere keeps its quality and received time; what was
// never evaluated is judged; what cannot be is told.
func TestImport(t *testing.T) {
	r := newRig(t, Options{})
	r.registry["d2"].Installed = 0
	row := func(station string, at quantrac.Millis, q quantrac.Quality, v float64) quantrac.Row {
		return quantrac.Row{Group: quantrac.NewLabels("station", station), Time: at, Cells: []quantrac.Cell{{Property: "water_level_meters", Value: v, Quality: q}}}
	}
	rows := []quantrac.Row{
		row("tq", 1782863940000, quantrac.NotEvaluated, 2),
		row("tq", 1782863941000, quantrac.Suspect, 2),
		row("tq", 1782863942000, quantrac.NotEvaluated, 99),
		row("tq", 1_000_000_000_000, quantrac.NotEvaluated, 2), // before the installation
		row("tc", 0, quantrac.NotEvaluated, 3),                 // a boot clock's date, believed
		row("tc", -4_000_000_000_000, quantrac.Good, 3),
		row("tc", 4_000_000_000_000, quantrac.Good, 3),
		row("elsewhere", 1782863942000, quantrac.NotEvaluated, 99),
		row("hidden", 1782863942000, quantrac.NotEvaluated, 1),
	}
	ctx := quantrac.WithPrincipal(t.Context(), quantrac.Principal{Name: "lan", Stations: []string{"tq", "tc", "elsewhere"}})
	for _, whole := range []bool{true, false} {
		got, err := r.Import(ctx, rows, whole)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range got.Refused {
			said = append(said, fmt.Sprint(f.Row, ": ", f.Reason))
		}
		want := `3: time lies before the station's installation
5: time lies before 1900, earlier than any instrument record
6: time lies more than a year ahead of the centre's clock
8: station "hidden" is not among those that "lan" may write`
		if strings.Join(said, "\n") != want {
			t.Errorf("refused\n%s\nwant\n%s", strings.Join(said, "\n"), want)
		}
		if n := map[bool]int{true: 0, false: 5}[whole]; got.Rows != n || got.Values != n {
			t.Errorf("whole %v: %d rows, %d values, want %d", whole, got.Rows, got.Values, n)
		}
		if whole {
			r.wantStored("")
		}
	}
	r.wantStored(`{station="tq"} @1782863940000 water_level_meters=2/1
{station="tq"} @1782863941000 water_level_meters=2/3
{station="tq"} @1782863942000 water_level_meters=99/4
{station="tc"} @0 water_level_meters=3/1
{station="elsewhere"} @1782863942000 water_level_meters=99/2
`)
	r.wantLetters("")
}

// After Close nothing is taken.
func TestImportClosed(t *testing.T) {
	r := newRig(t, Options{})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := r.Import(t.Context(), []quantrac.Row{{Group: quantrac.NewLabels("station", "tq")}}, false)
	if quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("%v, want Unavailable", err)
	}
}
