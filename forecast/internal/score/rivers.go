package score

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"quantrac"
	"quantrac/forecast/arx"
)

// River is a recorded river on a grid, with what the model is told about it.
type River struct {
	Name  string
	Spec  arx.Spec
	Start quantrac.Millis
	Cols  [][]float64 // by input
}

const (
	day  = 24 * time.Hour
	year = 8766 * time.Hour // 365.25 d
)

// rows reads a gzipped CSV file with a header, as maps of column index.
func rows(path string, each func(col map[string]int, rec []string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r := csv.NewReader(z)
	head, err := r.Read()
	if err != nil {
		return fmt.Errorf("%s: header: %w", path, err)
	}
	col := make(map[string]int)
	for i, h := range head {
		col[h] = i
	}
	for {
		rec, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := each(col, rec); err != nil {
			line, _ := r.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
	}
}

func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN() // NULL, NA and empty: not recorded
	}
	return v
}

// Severn reads a gauge of the daily Severn network (data folder dir), with its
// upstream gauges and the rain over each catchment. Discharge in m³/s, rain in
// mm/d.
func Severn(dir, gauge string, upstream ...string) (*River, error) {
	ids := append([]string{gauge}, upstream...)
	flow, rain := make(map[string][]float64), make(map[string][]float64)
	first := quantrac.Millis(0)
	err := rows(filepath.Join(dir, "river_severn_camelsgb_daily", "daily.csv.gz"), func(col map[string]int, rec []string) error {
		id := rec[col["gauge_id"]]
		if !slices.Contains(ids, id) {
			return nil
		}
		t, err := time.Parse(time.DateOnly, rec[col["date"]])
		if err != nil {
			return err
		}
		at := quantrac.FloorMillis(t)
		if first == 0 {
			first = at
		}
		if want := first.Add(time.Duration(len(flow[id])) * day); at != want {
			return fmt.Errorf("gauge %s: day %v follows where %v was expected", id, at, want)
		}
		flow[id] = append(flow[id], number(rec[col["discharge_m3s"]]))
		rain[id] = append(rain[id], number(rec[col["precipitation"]]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := &River{Name: gauge, Start: first, Spec: arx.Spec{Step: day, Leads: []int{1, 2, 3, 5},
		Periods: []time.Duration{year}, NonNegative: true}}
	for _, id := range ids {
		r.Spec.Inputs = append(r.Spec.Inputs, arx.Input{Name: id})
		r.Cols = append(r.Cols, flow[id])
	}
	for i, id := range ids {
		r.Spec.Inputs = append(r.Spec.Inputs, arx.Input{Name: "rain " + id, Kind: arx.Rain, Wets: i})
		r.Cols = append(r.Cols, rain[id])
	}
	return r, nil
}

// Logan reads the raw stage (cm) of the 2019 snow-melt season at WaterLab with
// TonyGrove upstream, on a grid of step: each row the newest reading of the
// step that ends with it. The loggers' fault values -9999 and 7999 are left
// out, as quality control fails them; all other dirt is kept.
func Logan(dir string, step time.Duration, leads []int) (*River, error) {
	r := &River{Name: "WaterLab", Spec: arx.Spec{Step: step, Leads: leads,
		Inputs: []arx.Input{{Name: "WaterLab"}, {Name: "TonyGrove"}}, Periods: []time.Duration{day}}}
	ms := quantrac.Millis(step.Milliseconds())
	start, err := time.Parse(time.DateOnly, "2019-01-01")
	if err != nil {
		return nil, err
	}
	r.Start = quantrac.FloorMillis(start) + ms
	for _, name := range []string{"WaterLab", "TonyGrove"} {
		var vs []float64
		err := rows(filepath.Join(dir, "river_logan_15min", name+"2019.csv.gz"), func(col map[string]int, rec []string) error {
			t, err := time.Parse("2006-01-02 15:04", rec[col["datetime"]])
			if err != nil {
				return err
			}
			at := quantrac.FloorMillis(t)
			row := int((at - r.Start + ms - 1) / ms)
			if at < r.Start-ms || row < 0 {
				return nil
			}
			for len(vs) <= row {
				vs = append(vs, math.NaN())
			}
			if v := number(rec[col["stage"]]); !math.IsNaN(v) && v != -9999 && v != 7999 {
				vs[row] = v
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		r.Cols = append(r.Cols, vs)
	}
	n := min(len(r.Cols[0]), len(r.Cols[1]))
	for i := range r.Cols {
		r.Cols[i] = r.Cols[i][:n]
	}
	return r, nil
}
