package collector

import (
	"context"
	"fmt"

	"quantrac"
	"quantrac/collector/decode"
	"quantrac/collector/qc"
)

// scratch is the memory of one request of an open client: one that is no
// device, and writes series of any station.
type scratch struct {
	out    decode.Result
	rows   []quantrac.Row
	limits map[*quantrac.Binding]*limits // of stations, of what they were last heard of
}

// limits are the properties of the values of a station's line, in their order;
// nil for what is not registered. Stations report the same ones time after time.
type limits struct {
	names      []string
	properties []*quantrac.Property
	any        bool // one at least is registered
}

// maxLimits is of how many stations the limits are remembered.
const maxLimits = 10_000

// scratchBytes is how much memory of one request is kept for another.
const scratchBytes = 4 << 20

// keep keeps the memory for another request, unless this one was so large that
// others hardly need as much.
func (c *Collector) keep(m *scratch) {
	if m.out.Memory() <= scratchBytes {
		c.scratches.Put(m)
	}
}

// writeOpen stores the series of an open client.
func (c *Collector) writeOpen(ctx context.Context, m *scratch, w Writing) (Written, error) {
	a := admission{c: c, m: m, who: quantrac.PrincipalFrom(ctx), now: c.clock.Now()}
	if err := c.lines(&m.out, w.Lines, w.Precision, a.now); err != nil {
		return Written{}, err
	}
	a.admit()
	done := written(w.Lines, &m.out, &a.got, len(m.rows))
	if done.Rejected = w.Whole && done.Bad > 0; done.Rejected {
		return done, nil
	}
	// The sender may hang up; what it was about to be told stays true.
	ctx = context.WithoutCancel(ctx)
	if len(m.rows) > 0 {
		var err error
		if done.Receipt, err = c.store.Append(ctx, &quantrac.Batch{Kind: quantrac.Readings, Rows: m.rows}); err != nil {
			return Written{}, err
		}
	}
	letters := a.kept.close()
	if len(letters) > 0 {
		if err := c.dead.Put(ctx, letters...); err != nil {
			return Written{}, quantrac.WithKind(quantrac.Unavailable, fmt.Errorf("keep dead letters of %q: %w", a.who.Name, err))
		}
	}
	a.count(&done, letters)
	return done, nil
}

// admission decides what of the lines of an open client goes to the store.
type admission struct {
	c    *Collector
	m    *scratch
	who  quantrac.Principal
	now  quantrac.Millis
	only map[string]bool // stations that the principal may write, nil for all

	got    bound
	kept   quarantine
	values [quantrac.Missing + 1]int // admitted, by quality
	flags  [len(qc.All)]int

	// Of the tags that the row before had.
	group  quantrac.Labels   // as which it is stored
	barred string            // why it may not be written, "" where it may
	at     *quantrac.Binding // how to judge it, nil where nothing is registered
}

// admit makes rows of the lines that may go to the store.
func (a *admission) admit() {
	m := a.m
	a.got = bound{faults: m.out.Faults, more: m.out.MoreFaults}
	a.kept = quarantine{source: "influx", received: a.now}
	if a.who.Name != "" {
		a.kept.source += ", " + a.who.Name
	}
	a.limitStations()
	m.rows = m.rows[:0]
	for i := range m.out.Rows {
		r := &m.out.Rows[i]
		if i == 0 || !sameLabels(r.Tags, m.out.Rows[i-1].Tags) {
			a.resolve(r.Tags)
		}
		if a.barred != "" {
			a.got.fault(r.Index, "", "%s", a.barred)
			continue
		}
		// Filled where it stays: a row made aside and copied is waited for.
		m.rows = append(m.rows, quantrac.Row{})
		row := &m.rows[len(m.rows)-1]
		row.Group, row.Time, row.Cells = a.group, r.Time, r.Cells
		if a.impossible(r.Index, row) {
			m.rows = m.rows[:len(m.rows)-1]
			continue
		}
		a.judge(row)
	}
}

// limitStations finds out which stations the principal may write.
func (a *admission) limitStations() {
	if a.who.Stations != nil {
		a.only = make(map[string]bool, len(a.who.Stations))
		for _, st := range a.who.Stations {
			a.only[st] = true
		}
	}
}

// resolve finds out what goes for the rows of a station.
func (a *admission) resolve(tags quantrac.Labels) {
	station := tags.Station()
	a.barred, a.at, a.group = "", nil, tags
	switch {
	case a.only != nil && !a.only[station]:
		a.barred = fmt.Sprintf("station %q is not among those that %q may write", station, a.who.Name)
	case station != "":
		if b, ok := a.c.registry.StationBinding(station); ok {
			a.registered(b, tags)
		}
	}
}

// registered resolves rows of a station that is registered.
func (a *admission) registered(b *quantrac.Binding, tags quantrac.Labels) {
	simulated := false
	if a.at = b; len(tags) > 0 {
		a.group, simulated = madeUp(tags)
	}
	if simulated && !b.Simulated {
		a.barred = notMarked(b.Station)
	}
}

// impossible says whether a row stays out of the store for its time, and tells
// its sender. That of a registered property goes to quarantine, as a device's
// would; series that nobody has registered may lie anywhere where a clock can.
func (a *admission) impossible(index int, row *quantrac.Row) bool {
	installed := quantrac.Millis(0)
	if a.at != nil {
		installed = a.at.Installed
	}
	v := quantrac.CheckTime(row.Time, a.now, installed)
	switch {
	case !v.Quarantine():
		return false
	case a.measured(row):
		a.got.held = append(a.got.held, a.kept.add(index, *row, v))
		return true
	case v == quantrac.TimeFarAhead || v == quantrac.TimeTooOld:
		a.got.fault(index, "time", "%s: %s", row.Time, v)
		return true
	}
	return false
}

// measured says whether the row has a value of a registered property.
func (a *admission) measured(row *quantrac.Row) bool {
	return a.at != nil && a.limits(row.Cells).any
}

// judge gives the values of registered properties their quality, by the tests
// that look at a value alone: open clients may write one series from two sides,
// so that nobody knows which reading comes before another.
func (a *admission) judge(row *quantrac.Row) {
	if a.at == nil {
		a.values[quantrac.NotEvaluated] += len(row.Cells)
		return
	}
	for i, p := range a.limits(row.Cells).properties {
		c := &row.Cells[i]
		if p != nil {
			v := qc.Ranges(p, c.Value)
			c.Quality = v.Quality
			v.Flagged.Count(&a.flags)
		}
		a.values[c.Quality]++
	}
}

// limits returns how to judge cells of the station at hand.
func (a *admission) limits(cells []quantrac.Cell) *limits {
	l := a.m.limits[a.at]
	if l == nil || !l.of(cells) {
		l = learnLimits(a.at, cells)
		if a.m.limits == nil || len(a.m.limits) >= maxLimits {
			a.m.limits = map[*quantrac.Binding]*limits{}
		}
		a.m.limits[a.at] = l
	}
	return l
}

// of says whether these are the limits of the cells.
func (l *limits) of(cells []quantrac.Cell) bool {
	if len(l.names) != len(cells) {
		return false
	}
	for i := range cells {
		if cells[i].Property != l.names[i] { // mostly the same memory
			return false
		}
	}
	return true
}

func learnLimits(at *quantrac.Binding, cells []quantrac.Cell) *limits {
	l := &limits{names: make([]string, len(cells)), properties: make([]*quantrac.Property, len(cells))}
	for i := range cells {
		l.names[i] = cells[i].Property
		if p, ok := at.Properties[cells[i].Property]; ok {
			l.properties[i], l.any = &p, true
		}
	}
	return l
}

// count enters into the metrics what is durable.
func (a *admission) count(done *Written, letters []DeadLetter) {
	t := a.c.metrics
	t.durable(len(a.m.rows), a.values, &done.Receipt)
	t.flagged(&a.flags)
	t.quarantined.Add(float64(len(a.got.held)))
	t.strings.Add(float64(done.Strings))
	for i := range letters {
		t.letters[letters[i].Kind].Inc()
	}
}
