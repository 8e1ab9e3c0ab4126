package tsdb

import (
	"strings"
	"unicode/utf8"

	"quantrac"
)

// Times that can be stored, from the year 1800 to before 2200 UTC: wider than
// anything that has been or will be observed, and few enough partitions that a
// batch reaching into all of them is still written in moments. Journals from
// before there were these bounds are replayed whatever they hold.
const (
	FirstTime quantrac.Millis = -5_364_662_400_000
	LastTime  quantrac.Millis = 7_258_118_400_000 - 1
)

func checkTime(what string, t quantrac.Millis) error {
	if t < FirstTime || t > LastTime {
		return quantrac.Errorf(quantrac.Invalid, "%s %s (%d ms) is out of range, from 1800 to 2199 can be stored", what, t, int64(t))
	}
	return nil
}

// Validate reports the first reason why a batch cannot be stored, as an
// Invalid error that names the row. Append refuses such a batch whole.
func Validate(b *quantrac.Batch) error {
	if err := validateHead(b); err != nil {
		return err
	}
	for i := range b.Rows {
		r := &b.Rows[i]
		err := validateGroup(r.Group)
		if err == nil {
			err = validateModel(b, r.Group)
		}
		if err == nil {
			err = validateRow(r)
		}
		if err == nil {
			err = validateProperties(r.Cells)
		}
		if err != nil {
			return rowError(i, err)
		}
	}
	return nil
}

func rowError(i int, err error) error {
	return quantrac.Errorf(quantrac.Invalid, "row %d: %w", i, err)
}

func validateHead(b *quantrac.Batch) error {
	switch b.Kind {
	case quantrac.Readings:
	case quantrac.Corrections, quantrac.Revocation:
		if b.Author == "" || b.Reason == "" {
			return quantrac.Errorf(quantrac.Invalid, "a change by a person wants author and reason, have %q and %q", b.Author, b.Reason)
		}
	case quantrac.Forecasts:
		if b.Model == "" {
			return quantrac.Errorf(quantrac.Invalid, "forecast names no model")
		}
		if err := checkTime("issue time", b.Issue); err != nil {
			return err
		}
	default:
		return quantrac.Errorf(quantrac.Invalid, "batch kind %d is unknown", b.Kind)
	}
	if b.Kind != quantrac.Revocation {
		if len(b.Rows) == 0 {
			return quantrac.Errorf(quantrac.Invalid, "batch has no rows")
		}
		return nil
	}
	if b.Correction == "" || len(b.Rows) > 0 {
		return quantrac.Errorf(quantrac.Invalid, "a revocation names a correction and has no rows, have %q and %d rows", b.Correction, len(b.Rows))
	}
	return nil
}

func validateGroup(ls quantrac.Labels) error {
	if len(ls)+1 > quantrac.MaxLabels {
		return quantrac.Errorf(quantrac.Invalid, "%d labels and a metric name, at most %d are kept", len(ls), quantrac.MaxLabels)
	}
	if ls.Metric() != "" {
		return quantrac.Errorf(quantrac.Invalid, "group has a label %s; the metric name is the cell's property", quantrac.LabelMetric)
	}
	return ls.Validate()
}

func validateModel(b *quantrac.Batch, ls quantrac.Labels) error {
	if b.Kind == quantrac.Forecasts && ls.Get(quantrac.LabelModel) != b.Model {
		return quantrac.Errorf(quantrac.Invalid, "group %v of a forecast by model %q does not carry it as label %s", ls, b.Model, quantrac.LabelModel)
	}
	return nil
}

func validateRow(r *quantrac.Row) error {
	if err := checkTime("time", r.Time); err != nil {
		return err
	}
	if err := checkTime("received time", r.Received); err != nil {
		return err
	}
	if len(r.Cells) == 0 {
		return quantrac.Errorf(quantrac.Invalid, "row has no values")
	}
	for i := range r.Cells {
		if r.Cells[i].Quality > quantrac.Missing {
			return quantrac.Errorf(quantrac.Invalid, "property %q has quality %v, which is unknown", r.Cells[i].Property, r.Cells[i].Quality)
		}
	}
	return nil
}

func validateProperties(cells []quantrac.Cell) error {
	for i := range cells {
		switch p := cells[i].Property; {
		case p == "":
			return quantrac.Errorf(quantrac.Invalid, "value %d names no property", i)
		case len(p) > quantrac.MaxLabelValueBytes:
			return quantrac.Errorf(quantrac.Invalid, "property %.40q… has %d bytes, at most %d are kept", p, len(p), quantrac.MaxLabelValueBytes)
		case !utf8.ValidString(p):
			return quantrac.Errorf(quantrac.Invalid, "property %q is not UTF-8", p)
		}
	}
	return nil
}

// identity returns the labels under which a row of the kind is stored.
// Registry keys, and names with two leading underscores, which selectors use,
// are joined at read time and never part of identity: a tag that a device
// sends under such a name is its own statement and becomes exported_x; a
// correction or forecast made from a query's answer carries what was joined
// there, which is taken off.
func identity(kind quantrac.BatchKind, ls quantrac.Labels, reserved func(string) bool) quantrac.Labels {
	var hit bool
	for _, l := range ls {
		if hit = isReserved(l.Name, reserved); hit {
			break
		}
	}
	if !hit {
		return ls
	}
	out := ls
	for _, l := range ls {
		if !isReserved(l.Name, reserved) {
			continue
		}
		out = out.Without(l.Name)
		if kind != quantrac.Readings {
			continue
		}
		name := "exported_" + l.Name
		for out.Get(name) != "" {
			name = "exported_" + name
		}
		out = out.With(name, l.Value)
	}
	return out
}

func isReserved(name string, reserved func(string) bool) bool {
	return strings.HasPrefix(name, "__") || reserved != nil && reserved(name)
}
