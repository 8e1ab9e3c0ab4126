package simnet

import (
	"bytes"
	"encoding/csv"
	"math"
	"strconv"
	"strings"
	"time"

	"quantrac"
)

// csvHead are the columns of the station import that a simulated network fills.
var csvHead = []string{
	"station", "name", "family", "lat", "lon", "river", "commune_code", "district", "simulated", "upstream", "device",
	"property", "interval", "decimals", "min", "max", "spike", "rate_per_hour", "flat_for", "fault_values", "trend_epsilon",
	"threshold_kind", "level1", "level2", "level3", "hysteresis", "hold",
}

// CSV writes a network in the form that the station import reads.
func CSV(stations []Station) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write(csvHead); err != nil {
		return nil, err
	}
	for i := range stations {
		s := &stations[i]
		for _, p := range s.Properties {
			if err := w.Write(csvRow(s, p)); err != nil {
				return nil, err
			}
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

func csvRow(s *Station, p quantrac.Property) []string {
	row := []string{
		s.ID, s.Name, string(s.Family), num(s.Lat), num(s.Lon), s.River, s.Commune, s.District, "yes", strings.Join(s.Upstream, " "), s.Device,
		p.Name, span(p.Interval), strconv.Itoa(p.Decimals), num(p.Min), num(p.Max), num(p.SpikeLimit), num(p.RateLimit * 3600), "", "-9999 7999", num(p.TrendEpsilon),
	}
	if p.FlatFor > 0 {
		row[len(row)-3] = span(p.FlatFor)
	}
	rule := [6]string{}
	for _, t := range s.Thresholds {
		if t.Property == p.Name {
			rule[0], rule[t.Level], rule[4], rule[5] = string(t.Kind), num(t.Value), num(t.Hysteresis), span(t.Hold)
		}
	}
	return append(row, rule[:]...)
}

// span writes a length of time with one unit.
func span(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}

// num writes a number for a cell, nothing for NaN: a limit that is off.
func num(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
