package devices

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"quantrac"
)

var propertyColumns = []column{
	"unit", "interval", "property_name", "property_name_en", "decimals", "min", "max", "suspect_min", "suspect_max", "spike",
	"rate_per_hour", "flat_for", "flat_epsilon", "fault_values", "non_negative", "cumulative", "trend_epsilon",
	"threshold_kind", "level1", "level2", "level3", "hysteresis", "hold", "legal_basis", "threshold_from", "threshold_to",
}

func (im *importer) planProperties(d *draft, id string, rows []*row) {
	plans := map[string]*Property{}
	var order []string
	for _, r := range rows {
		name := r.cells["property"]
		if name == "" {
			if i := slices.IndexFunc(propertyColumns, func(c column) bool { return r.cells[c] != "" }); i >= 0 {
				im.bad(r, propertyColumns[i], "a property in this row, as this cell speaks of one")
			}
			continue
		}
		p := plans[name]
		if p == nil {
			p = &Property{Station: id, Property: NewProperty(name)}
			if old := d.property(id, name); old != nil {
				*p = *old
				p.Revision = 0
			}
			plans[name], order = p, append(order, name)
			im.lines["property "+id+":"+name] = r.line
		}
		im.property(r, p, "property "+id+":"+name)
	}
	for _, name := range order {
		d.planProperty(*plans[name])
	}
	for _, r := range rows {
		if name := r.cells["property"]; name != "" {
			im.planThresholds(d, r, id, name)
		}
	}
}

func (im *importer) property(r *row, p *Property, object string) {
	nan := math.NaN()
	into(im, r, "unit", object, &p.Unit, "", parseText)
	into(im, r, "interval", object, &p.Interval, 0, parseSpan)
	into(im, r, "property_name", object, &p.HumanName, "", parseText)
	into(im, r, "property_name_en", object, &p.HumanNameEn, "", parseText)
	into(im, r, "decimals", object, &p.Decimals, 0, parseWhole)
	into(im, r, "min", object, &p.Min, nan, parseNumber)
	into(im, r, "max", object, &p.Max, nan, parseNumber)
	into(im, r, "suspect_min", object, &p.SuspectMin, nan, parseNumber)
	into(im, r, "suspect_max", object, &p.SuspectMax, nan, parseNumber)
	into(im, r, "spike", object, &p.SpikeLimit, nan, parseNumber)
	into(im, r, "rate_per_hour", object, &p.RateLimit, nan, func(s string) (float64, error) {
		v, err := parseNumber(s)
		return v / time.Hour.Seconds(), err
	})
	into(im, r, "flat_for", object, &p.FlatFor, 0, parseSpan)
	into(im, r, "flat_epsilon", object, &p.FlatEpsilon, 0, parseNumber)
	into(im, r, "fault_values", object, &p.FaultValues, nil, parseNumbers)
	into(im, r, "non_negative", object, &p.NonNegative, false, parseBool)
	into(im, r, "cumulative", object, &p.Cumulative, false, parseBool)
	into(im, r, "trend_epsilon", object, &p.TrendEpsilon, 0, parseNumber)
}

func parseWhole(s string) (int, error) {
	v, err := parseNumber(s)
	if err != nil || v != math.Trunc(v) || math.Abs(v) > 1000 {
		return 0, fmt.Errorf("a whole number")
	}
	return int(v), nil
}

func parseNumbers(s string) ([]float64, error) {
	var out []float64
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '|' || r == ';' }) {
		v, err := parseNumber(f)
		if err != nil {
			return nil, fmt.Errorf("numbers separated by blanks, such as -9999 7999")
		}
		out = append(out, v)
	}
	return out, nil
}

var thresholdColumns = []column{"threshold_kind", "level1", "level2", "level3", "hysteresis", "hold", "legal_basis", "threshold_from", "threshold_to"}

func (im *importer) planThresholds(d *draft, r *row, station, property string) {
	said := slices.IndexFunc(thresholdColumns, func(c column) bool { return r.cells[c] != "" })
	if said < 0 {
		return
	}
	var t Threshold
	t.Station, t.Property = station, property
	t.ValidFrom, t.ValidTo = quantrac.MinMillis, quantrac.MaxMillis
	object := fmt.Sprintf("threshold %s:%s line %d", station, property, r.line)
	into(im, r, "threshold_kind", object, &t.Kind, "", parseThresholdKind)
	into(im, r, "threshold_from", object, &t.ValidFrom, quantrac.MinMillis, parseDate)
	if r.cells["threshold_kind"] == "" {
		im.bad(r, thresholdColumns[said], "a threshold_kind in this row: bao_dong or theo_doi")
		return
	}
	any := false
	for level, c := range []column{"level1", "level2", "level3"} {
		if r.cells[c] == "" {
			continue
		}
		any = true
		im.planLevel(d, r, c, t, level+1)
	}
	if !any {
		im.bad(r, "threshold_kind", "a value in level1, level2 or level3 of this row")
	}
}

// planLevel puts one level of a row's thresholds, over the one of its key.
func (im *importer) planLevel(d *draft, r *row, c column, t Threshold, level int) {
	t.Level = level
	t.ID = ThresholdID(&t.Threshold)
	for _, o := range d.stations[t.Station].thresholds {
		if o.ID == t.ID {
			t = o
			t.Revision = 0
		}
	}
	object := "threshold " + t.ID
	if _, known := im.lines[object]; !known {
		im.lines[object] = r.line
	}
	// Several levels stand in one row, so the row's other cells are read for
	// each of them.
	into(im, r, c, object, &t.Value, math.NaN(), parseNumber)
	into(im, r, "hysteresis", object, &t.Hysteresis, 0, parseNumber)
	into(im, r, "hold", object, &t.Hold, 0, parseSpan)
	into(im, r, "legal_basis", object, &t.LegalBasis, "", parseText)
	into(im, r, "threshold_to", object, &t.ValidTo, quantrac.MaxMillis, parseDate)
	d.planThreshold(t, im.actor)
}

func (im *importer) planDevices(d *draft, station string, rows []*row) {
	plans := map[string]*Device{}
	var order []string
	for _, r := range rows {
		id := r.cells["device"]
		if id == "" {
			if r.cells["sensor"] != "" {
				im.bad(r, "sensor", "a device in this row, as this cell speaks of one")
			}
			continue
		}
		object := "device " + id
		// Two stations in one file cannot share a device.
		if first, again := im.said[object]; again && first.text != station {
			im.bad(r, "device", fmt.Sprintf("a device of one station; line %d has it at %s", first.line, first.text))
			continue
		}
		im.said[object] = said{station, r.line}
		dev := plans[id]
		if dev == nil {
			dev = &Device{ID: id}
			if old := d.devices[id]; old != nil {
				*dev = old.entry()
				dev.Revision = 0
			}
			dev.Station = station
			plans[id], order = dev, append(order, id)
			im.lines[object] = r.line
		}
		into(im, r, "sensor", object, &dev.Sensor, "", parseText)
	}
	for _, id := range order {
		isNew := d.devices[id] == nil
		d.planDevice(*plans[id])
		if isNew && d.devices[id] != nil {
			secret, _ := d.planToken(id, im.actor, im.now)
			im.rep.Tokens = append(im.rep.Tokens, DeviceToken{Device: id, Station: station, Token: secret})
		}
	}
}
