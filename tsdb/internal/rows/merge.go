package rows

// Merger joins tables. The zero value works; it keeps memory for the next time,
// and is for one goroutine at a time.
type Merger struct {
	out Table
	row Row
	in  []part
}

// part is the rows of a table that are still to come.
type part struct {
	*Table
	at, end int
}

// Merge joins tables and drops the redelivered cells that it meets. The result
// may be one of the tables itself; it is not to be changed, and gone with the
// next call.
func (m *Merger) Merge(tables []*Table) *Table {
	if len(tables) == 1 && !tables[0].Repeats {
		return tables[0]
	}
	m.in = m.in[:0]
	columns := 0
	for _, t := range tables {
		columns = max(columns, len(t.Cols))
		if t.Len() > 0 {
			m.in = append(m.in, part{t, 0, t.Len()})
		}
	}
	m.out.Reset(columns)
	for len(m.in) > 0 {
		first := 0
		for i := 1; i < len(m.in); i++ {
			if m.in[i].before(&m.in[first]) {
				first = i
			}
		}
		p := &m.in[first]
		if end := m.stretch(first); end > p.at {
			m.out.appendRows(p.Table, p.at, end)
			p.at = end
		} else {
			m.add(p.Table, p.at)
			p.at++
		}
		if p.at == p.end {
			m.in = append(m.in[:first], m.in[first+1:]...)
		}
	}
	return &m.out
}

// before says whether the next row of a part comes before that of another.
func (p *part) before(o *part) bool {
	t, u := p.Times[p.at], o.Times[o.at]
	return t < u || t == u && p.Commits[p.at] < o.Commits[o.at]
}

// stretch returns where the rows of a part end that no other row stands among,
// nor at the time of.
func (m *Merger) stretch(first int) (end int) {
	p := &m.in[first]
	n := m.out.Len()
	if p.Repeats || n > 0 && m.out.Times[n-1] == p.Times[p.at] {
		return p.at
	}
	end = p.end
	for i := range m.in {
		if o := &m.in[i]; i != first && end > p.at && o.Times[o.at] <= p.Times[end-1] {
			end = p.Find(o.Times[o.at])
		}
	}
	return end
}

// add appends row i of t, less its redelivered cells.
func (m *Merger) add(t *Table, i int) {
	r := &m.row
	r.Time, r.Commit, r.Received, r.Kind = t.Times[i], t.Commits[i], t.Received[i], t.Kinds[i]
	r.Cols, r.Values, r.Quality = r.Cols[:0], r.Values[:0], r.Quality[:0]
	for c := range t.Cols {
		q := t.Quality(i, c)
		if q == Absent {
			continue
		}
		v := t.Cols[c].Values[i]
		if r.Kind == Reading && m.redelivered(r.Time, c, v) {
			continue
		}
		r.Cols, r.Values, r.Quality = append(r.Cols, c), append(r.Values, v), append(r.Quality, q)
	}
	if len(r.Cols) > 0 {
		m.out.Append(r)
	}
}

func (m *Merger) redelivered(time int64, col int, v float64) bool {
	t := &m.out
	for i := t.Len() - 1; i >= 0 && t.Times[i] == time; i-- {
		if t.Kinds[i] != Human && t.Quality(i, col) != Absent && Same(t.Cols[col].Values[i], v) {
			return true
		}
	}
	return false
}

// Reset empties a table and gives it so many columns, all absent.
func (t *Table) Reset(columns int) {
	t.Times, t.Commits, t.Received, t.Kinds = t.Times[:0], t.Commits[:0], t.Received[:0], t.Kinds[:0]
	t.Repeats, t.Humans, t.MaxCommit = false, false, 0
	for len(t.Cols) < columns {
		t.Cols = append(t.Cols, Column{})
	}
	t.Cols = t.Cols[:columns]
	for i := range t.Cols {
		c := &t.Cols[i]
		c.Values, c.Qualities = c.Values[:0], c.Qualities[:0]
	}
}

// appendRows appends the rows from at to before end of a table, which all lie
// behind those that are there, no two at one time.
func (t *Table) appendRows(from *Table, at, end int) {
	n := t.Len()
	t.Times = append(t.Times, from.Times[at:end]...)
	t.Commits = append(t.Commits, from.Commits[at:end]...)
	t.Received = append(t.Received, from.Received[at:end]...)
	t.Kinds = append(t.Kinds, from.Kinds[at:end]...)
	for i := at; i < end; i++ {
		t.MaxCommit = max(t.MaxCommit, from.Commits[i])
		t.Humans = t.Humans || from.Kinds[i] == Human
	}
	for c := range from.Cols {
		src := &from.Cols[c]
		if last := min(end, len(src.Values)); at < last {
			col := &t.Cols[c]
			col.reach(n)
			col.Values = append(col.Values, src.Values[at:last]...)
			col.Qualities = append(col.Qualities, src.Qualities[at:last]...)
		}
	}
}
