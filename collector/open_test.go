package collector

import (
	"fmt"
	"strings"
	"testing"

	"quantrac"
)

// What an open client says of a registered station is judged as that station's
// devices are: whoever may write must not be able to raise an alarm with a
// fault code.
func TestOpenClientsAreJudged(t *testing.T) {
	r := newRig(t, Options{})
	r.registry["d2"].Installed = 0
	ctx := quantrac.WithPrincipal(t.Context(), quantrac.Principal{Name: "telegraf"})
	got, err := r.Write(ctx, Writing{Lines: []byte(strings.Join([]string{
		"water,station=tq level_meters=2 1782863940000000000",
		"water,station=tq level_meters=99,other=1 1782863941000000000",
		"water,station=tq,sensor=b level_meters=-9999 1782863942000000000",
		"rainfall,station=tc millimeters=-0.1 1782863943000000000",
		"water,station=elsewhere level_meters=99 1782863944000000000",
		"water,station=tq level_meters=3 1000000000000000000", // before the installation
		"water,station=tq other=3 1000000000000000000",        // which says nothing of what nobody registered
		"water,station=tc level_meters=4 -25200000000000",     // 1970-01-01 at +07:00
		"water,station=tc level_meters=5 1782950400000000000", // a day ahead: the store fails it
		"water,station=tq level_meters=6 4000000000000000000",
		"water level_meters=7 4000000000000000000",
		"water level_meters=8 -4000000000000000000",
	}, "\n"))})
	if err != nil {
		t.Fatal(err)
	}
	r.wantStored(`{station="tq"} @1782863940000 water_level_meters=2/1
{station="tq"} @1782863941000 water_level_meters=99/4 water_other=1/2
{sensor="b", station="tq"} @1782863942000 water_level_meters=-9999/4
{station="tc"} @1782863943000 rainfall_millimeters=-0.1/4
{station="elsewhere"} @1782863944000 water_level_meters=99/2
{station="tq"} @1000000000000 water_other=3/2
{station="tc"} @1782950400000 water_level_meters=5/1
`)
	r.wantLetters(`quarantine  influx, telegraf @1782864000000: time lies before the station's installation
  {station="tq"} @1000000000000 offered 1782864000000 water_level_meters=3
quarantine  influx, telegraf @1782864000000: time is the start date of an unset logger clock
  {station="tc"} @-25200000 offered 1782864000000 water_level_meters=4
quarantine  influx, telegraf @1782864000000: time lies more than a year ahead of the centre's clock
  {station="tq"} @4000000000000 offered 1782864000000 water_level_meters=6
`)
	var faults []string
	for _, f := range got.Faults {
		faults = append(faults, f.String())
	}
	want := `row 6, time: time lies before the station's installation: kept in quarantine
row 8, time: time is the start date of an unset logger clock: kept in quarantine
row 10, time: time lies more than a year ahead of the centre's clock: kept in quarantine
row 11, time: 2096-10-02T14:06:40.000+07:00: time lies more than a year ahead of the centre's clock
row 12, time: 1843-03-31T23:53:20.000+07:00: time lies before 1900, earlier than any instrument record`
	if said := strings.Join(faults, "\n"); got.Good != 7 || got.Bad != 5 || said != want {
		t.Errorf("%d good, %d bad\n%s\nwant 7 and 5\n%s", got.Good, got.Bad, said, want)
	}
}

// Very many rows make letters of a size that can be kept, which offer times as if
// they were one.
func TestOpenClientQuarantineIsCut(t *testing.T) {
	r := newRig(t, Options{})
	var lines strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&lines, "water,station=tq level_meters=%d %d000000\n", i, 1_000_000_000_000+i)
	}
	if _, err := r.Write(t.Context(), Writing{Lines: []byte(lines.String())}); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	n := 0
	for _, l := range r.dead.letters {
		sizes = append(sizes, len(l.Rows))
		for _, row := range l.Rows {
			if row.Offered != start-quantrac.Millis(2499-n) {
				t.Fatalf("row %d is offered %d", n, row.Offered)
			}
			n++
		}
	}
	if fmt.Sprint(sizes) != "[1000 1000 500]" {
		t.Errorf("letters of %d rows", sizes)
	}
}

// With lines that are refused whole nothing is kept in quarantine either: the
// sender has it all.
func TestOpenClientRejectedWhole(t *testing.T) {
	r := newRig(t, Options{})
	got, err := r.Write(t.Context(), Writing{Whole: true, Lines: []byte("water,station=tq level_meters=2 1782863940000000000\nwater,station=tq level_meters=3 1000000000000000000")})
	if err != nil || !got.Rejected || got.Bad != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	r.wantStored("")
	r.wantLetters("")
}

// The letters of an open client must be durable before it is answered.
func TestOpenClientLettersFail(t *testing.T) {
	r := newRig(t, Options{})
	r.dead.put = func() error { return quantrac.Errorf(quantrac.Invalid, "letter too large") }
	_, err := r.Write(t.Context(), Writing{Lines: []byte("water,station=tq level_meters=3 1000000000000000000")})
	if quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("answered %v before the letter was durable", err)
	}
}
