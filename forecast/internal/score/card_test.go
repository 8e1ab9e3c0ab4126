package score_test

import (
	"testing"

	"quantrac/forecast/internal/score"
	"quantrac/internal/shared"
)

// TestFloodCard demands every wanted figure of the scorecard: the published
// bars on the recorded rivers, each test row forecast from older rows only.
func TestFloodCard(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute")
	}
	shared.Path(t, "river_severn_camelsgb_daily")
	shared.Path(t, "river_logan_15min")
	dir, _ := shared.Dir()
	card, err := score.Flood(dir)
	if err != nil {
		t.Fatal(err)
	}
	wanted := 0
	for _, r := range card {
		if r.Wanted == "" {
			t.Logf("%s: %s", r.Name, r.Measured)
			continue
		}
		wanted++
		if !r.OK {
			t.Errorf("%s: %s, wanted %s", r.Name, r.Measured, r.Wanted)
		}
	}
	if wanted < 25 {
		t.Errorf("only %d figures are wanted of the card; rows are missing", wanted)
	}
}
