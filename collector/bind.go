package collector

import (
	"fmt"

	"quantrac"
	"quantrac/collector/decode"
)

// bound is what became of decoded rows of a device.
type bound struct {
	good   int            // rows that went into the batch
	part   int            // of those, rows that lost a value
	held   []decode.Fault // rows that went into quarantine, one fault each
	faults []decode.Fault // what was left out
	more   int            // faults beyond maxProblems
}

// maxProblems is how many problems a dead letter lists.
const maxProblems = 100

func (b *bound) fault(row int, field, format string, args ...any) {
	if len(b.faults) >= maxProblems {
		b.more++
		return
	}
	b.faults = append(b.faults, decode.Fault{Row: row, Field: field, Reason: fmt.Sprintf(format, args...)})
}

// rows binds decoded rows to the device's series and enters the good ones into
// the batch and those of impossible times into a dead letter.
func (in *intake) rows(b *quantrac.Binding, out *decode.Result, source string, received quantrac.Millis) bound {
	got := bound{faults: out.Faults, more: out.MoreFaults}
	kept := quarantine{device: in.s.device, source: source, received: received}
	var group quantrac.Labels
	var why string
	for i := range out.Rows {
		r := &out.Rows[i]
		if i == 0 || !sameLabels(r.Tags, out.Rows[i-1].Tags) {
			b, group, why = in.bind(b, r.Tags)
		}
		if why != "" {
			got.fault(r.Index, "", "%s", why)
			continue
		}
		given := len(r.Cells)
		row := quantrac.Row{Group: group, Time: r.Time, Cells: got.known(b, r)}
		if len(row.Cells) == 0 {
			continue
		}
		v := quantrac.CheckTime(r.Time, in.now, b.Installed)
		if v.Quarantine() {
			got.held = append(got.held, kept.add(r.Index, row, v))
			continue
		}
		in.batch.Rows = append(in.batch.Rows, row)
		in.ahead = append(in.ahead, v == quantrac.TimeAhead)
		got.good++
		if len(row.Cells) < given {
			got.part++
		}
	}
	in.held += len(got.held)
	in.letters = append(in.letters, kept.close()...)
	return got
}

// bind returns the group of a row, and the binding by which it is taken in: one
// that knows of a station that its readings are made up where the row says so.
func (in *intake) bind(b *quantrac.Binding, tags quantrac.Labels) (*quantrac.Binding, quantrac.Labels, string) {
	tags, simulated := madeUp(tags)
	if simulated && !b.Simulated {
		marked, ok := in.s.c.mark(b.Device)
		if !ok {
			return b, nil, notMarked(b.Station)
		}
		b = marked
	}
	group, why := bind(b, tags)
	return b, group, why
}

// madeUp takes from the tags of a row that it is made up.
func madeUp(tags quantrac.Labels) (quantrac.Labels, bool) {
	if tags.Get(quantrac.LabelSimulated) != "true" {
		return tags, false
	}
	return tags.Without(quantrac.LabelSimulated), true
}

func notMarked(station string) string {
	return fmt.Sprintf("it is simulated, and station %q is not registered as simulated: what is made up must not pass for measured", station)
}

// mark has a device's station marked as simulated, where the registry does that.
func (c *Collector) mark(device string) (*quantrac.Binding, bool) {
	if m, ok := c.registry.(Marker); ok {
		return m.MarkSimulated(device)
	}
	return nil, false
}

// known returns the cells whose property is registered for the device, all of an
// open one; the others become faults.
func (b *bound) known(to *quantrac.Binding, r *decode.Row) []quantrac.Cell {
	cells := r.Cells[:0]
	for _, c := range r.Cells {
		if _, ok := to.Properties[c.Property]; ok || to.Open {
			cells = append(cells, c)
			continue
		}
		b.fault(r.Index, c.Property, "no such property is registered for device %q", to.Device)
	}
	return cells
}

// bind returns the group of a row: the binding's labels and the tags that the
// payload adds. A tag may repeat what the binding says, not contradict it.
func bind(b *quantrac.Binding, tags quantrac.Labels) (quantrac.Labels, string) {
	if len(tags) == 0 {
		return b.Group, ""
	}
	group := b.Group
	for _, t := range tags {
		switch bound := b.Group.Get(t.Name); {
		case bound == "":
			group = group.With(t.Name, t.Value)
		case bound != t.Value:
			return nil, fmt.Sprintf("tag %s=%q contradicts the registry, which binds device %q to %s=%q", t.Name, t.Value, b.Device, t.Name, bound)
		}
	}
	if len(group) >= quantrac.MaxLabels {
		return nil, fmt.Sprintf("%d labels with those of the registry, at most %d are kept", len(group), quantrac.MaxLabels-1)
	}
	return group, ""
}

// sameLabels says whether two label sets are the same memory, as those of rows
// of one series are.
func sameLabels(a, b quantrac.Labels) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
