// Package recorded turns the recorded observations that lie beside a full
// checkout into line protocol: a line per station and time, with the values as
// they were written down, fill values and all.
//
// A reading that a recording holds twice is sent once, so that every store holds
// as many. Only the programs and tests below tsdb/internal/score may import it.
package recorded

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"quantrac/tsdb/internal/score/load"
)

// recording is one file: where it keeps the time, the station and the values.
type recording struct {
	file    string
	station string   // name, or "" where a column has it
	of      string   // that column
	time    string   // column
	fields  []string // columns, which are also the fields' names
}

var (
	loganFields = []string{"temp", "cond", "ph", "do", "turb", "stage"}
	waterFields = []string{"temp", "spcond", "sal", "do_pct", "do_mgl", "depth", "ph", "turb"}
	skyFields   = []string{"atemp", "rh", "bp", "wspd", "maxwspd", "wdir", "sdwdir", "totpar", "totprcp"}
)

// layouts are how the recordings write times; those without a zone are taken for
// UTC.
var layouts = []string{"2006-01-02T15:04", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", time.RFC3339}

func parseTime(text string) (time.Time, error) {
	for _, l := range layouts {
		if t, err := time.Parse(l, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q is written in none of the known ways", text)
}

// recordings are 15-minute water quality, stage, weather and discharge, and
// hourly tides.
var recordings = []recording{
	{"wq_nerrs_apadb_15min/apadbwq_2012_2013.csv.gz", "apadb", "", "datetimestamp", waterFields},
	{"wq_nerrs_apadb_15min/apaebmet_weather_2012_2013.csv.gz", "apaeb", "", "datetimestamp", skyFields},
	{"river_logan_15min/BlackSmithFork2015.csv.gz", "blacksmith_fork", "", "datetime", loganFields},
	{"river_logan_15min/FranklinBasin2014.csv.gz", "franklin_basin", "", "datetime", loganFields},
	{"river_logan_15min/TonyGrove2014.csv.gz", "tony_grove", "", "datetime", loganFields},
	{"river_logan_15min/TonyGrove2019.csv.gz", "tony_grove", "", "datetime", loganFields},
	{"river_logan_15min/WaterLab2019.csv.gz", "water_lab", "", "datetime", loganFields},
	{"river_usgs_lower_colorado_15min/discharge_15min.csv.gz", "", "usgs_site", "obs_time_utc", []string{"discharge_m3s"}},
	{"tide_australia_hourly/CapeFerguson.csv.gz", "cape_ferguson", "", "time_utc", []string{"sea_level_m"}},
	{"tide_australia_hourly/Esperance.csv.gz", "esperance", "", "time_utc", []string{"sea_level_m"}},
	{"tide_australia_hourly/Hillarys.csv.gz", "hillarys", "", "time_utc", []string{"sea_level_m"}},
	{"tide_australia_hourly/Thevenard.csv.gz", "thevenard", "", "time_utc", []string{"sea_level_m"}},
}

// Batches streams all recordings below dir, so many lines in a batch. failed
// tells, after the stream has ended, why it ended early.
func Batches(dir string, lines int) (batches iter.Seq[load.Batch], failed func() error) {
	var err error
	stream := func(yield func(load.Batch) bool) {
		var b load.Batch
		end := errors.New("no more is wanted")
		err = each(dir, func(line string, values int) error {
			b.Lines, b.Count, b.Values = append(b.Lines, line...), b.Count+1, b.Values+values
			if b.Count < lines {
				return nil
			}
			if !yield(b) {
				return end
			}
			b = load.Batch{Lines: b.Lines[:0]}
			return nil
		})
		if errors.Is(err, end) {
			err = nil
			return
		}
		if err == nil && b.Count > 0 {
			yield(b)
		}
	}
	return stream, func() error { return err }
}

// each calls do with every line.
func each(dir string, do func(line string, values int) error) error {
	for _, r := range recordings {
		if err := r.lines(filepath.Join(dir, filepath.FromSlash(r.file)), do); err != nil {
			return fmt.Errorf("%s: %w", r.file, err)
		}
	}
	return honolulu(filepath.Join(dir, "tide_honolulu_2010", "HNL2010.asc"), do)
}

func (r *recording) lines(path string, do func(string, int) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	in := csv.NewReader(z)
	head, err := in.Read()
	if err != nil {
		return err
	}
	columns := map[string]int{}
	for i, name := range head {
		columns[name] = i
	}
	seen := map[string]bool{}
	for {
		row, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = r.row(func(column string) string { return row[columns[column]] }, seen, do)
		}
		if err != nil {
			return err
		}
	}
}

// row passes on a row that has values and was not seen before.
func (r *recording) row(cell func(column string) string, seen map[string]bool, do func(string, int) error) error {
	line, values, err := r.line(cell)
	key, _, _ := strings.Cut(line, " ") // station and, below, time
	key += cell(r.time)
	if err != nil || values == 0 || seen[key] {
		return err
	}
	seen[key] = true
	return do(line, values)
}

// line writes a row; text that is no number is no value.
func (r *recording) line(cell func(column string) string) (string, int, error) {
	at, err := parseTime(cell(r.time))
	if err != nil {
		return "", 0, err
	}
	station := r.station
	if r.of != "" {
		station = "usgs_" + cell(r.of)
	}
	var fields []string
	for _, name := range r.fields {
		text := cell(name)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			fields = append(fields, name+"="+text)
		}
	}
	return fmt.Sprintf("%s,station=%s %s %d\n", load.Measurement, station, strings.Join(fields, ","), at.UnixNano()), len(fields), nil
}

// honolulu reads days since the year 1700 and millimetres.
func honolulu(path string, do func(string, int) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	first := time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)
	for in := bufio.NewScanner(f); in.Scan(); {
		var day, mm float64
		if _, err := fmt.Sscan(in.Text(), &day, &mm); err != nil {
			return fmt.Errorf("%s: %q: %w", path, in.Text(), err)
		}
		at := first.AddDate(0, 0, int(day)).Add(time.Duration(math.Round((day-math.Floor(day))*24)) * time.Hour)
		line := fmt.Sprintf("%s,station=honolulu sea_level_m=%.3f %d\n", load.Measurement, mm/1000, at.UnixNano())
		if err := do(line, 1); err != nil {
			return err
		}
	}
	return nil
}
