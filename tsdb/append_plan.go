package tsdb

import (
	"slices"
	"strings"

	"quantrac"
)

// appender checks and encodes a batch; it is used again and again.
type appender struct {
	enc     batchEncoder
	payload []byte
	cells   []quantrac.Cell

	renamed map[string]knownGroup // by the key of labels with reserved names
	memo    memo
	groups  []appendGroup
	lists   []propertyList // met in this payload or in others, up to maxLists
	missed  int            // rows whose list was not among them
	twice   []bool         // for each list of the payload, whether a property is there twice
	rows    []plannedRow
	order   []int32             // of the rows, group by group
	next    []int32             // for making it: the place of the next row of each group
	beaten  map[cellAt]struct{} // cells that a later one of the batch replaces
}

// knownGroup is the label set that the rows of some labels are stored under.
type knownGroup struct {
	key      []byte
	labels   int
	hash     uint32 // of the key
	payload  uint64 // the last that has it
	position int    // there

	given quantrac.Labels // of the rows, where they are remembered
	next  *knownGroup     // the one mostly met after it
	other *knownGroup     // the one met after it when it was not that
	list  int             // where its last row's list of properties is among the appender's
}

// propertyList is properties that rows have in common.
type propertyList struct {
	props    []string
	payload  uint64 // the last that has it
	position int    // there
}

// appendGroup is a group of the batch, in the order of the encoder's table.
type appendGroup struct {
	newest quantrac.Millis // time of its newest row so far
	last   int             // its last row so far, -1 for none
	// at finds the last row of a time; it is made when a row does not follow
	// the group's others.
	at map[quantrac.Millis]int
}

type plannedRow struct {
	group, shape int
	before       int // the group's row before, -1 for none
	sameTime     int // the row before of the same group and time, -1 for none
}

type cellAt struct{ row, cell int }

// plan checks every row, gives it its group, and finds collisions.
func (a *appender) plan(b *quantrac.Batch, reserved func(string) bool) error {
	a.enc.reset()
	if a.renamed == nil {
		a.renamed, a.beaten = map[string]knownGroup{}, map[cellAt]struct{}{}
	}
	clear(a.renamed)
	clear(a.beaten)
	a.groups, a.twice, a.rows = a.groups[:0], a.twice[:0], a.rows[:0]
	if len(a.lists) == maxLists && a.missed > maxLists {
		a.lists = nil // others are sent now
	}
	a.missed = 0
	once := 0 // where the list is of rows whose labels are not remembered
	for i := range b.Rows {
		r := &b.Rows[i]
		p := plannedRow{before: -1, sameTime: -1}
		hint := &once
		var known *knownGroup
		var err error
		if p.group, known, err = a.group(b, i, reserved); err == nil {
			err = validateRow(r)
		}
		if known != nil {
			hint = &known.list
		}
		if err == nil {
			p.shape, err = a.shape(i, r.Cells, hint)
		}
		if err != nil {
			return rowError(i, err)
		}
		a.rows = append(a.rows, p)
		a.collide(b, i)
	}
	return nil
}

// group returns the position of a row's group, and what is remembered of its labels.
func (a *appender) group(b *quantrac.Batch, i int, reserved func(string) bool) (int, *knownGroup, error) {
	ls := b.Rows[i].Group
	remembers := b.Kind == quantrac.Readings && len(ls) > 0
	if remembers {
		if k := a.memo.find(ls); k != nil {
			if k.payload != a.enc.groups.payload {
				k.position = a.place(k.hash, k.key, k.labels)
				k.payload = a.enc.groups.payload
			}
			return k.position, k, nil
		}
	}
	labels, hash, err := a.groupKey(b, i, reserved)
	if err != nil {
		return 0, nil, err
	}
	n := a.place(hash, a.enc.key, labels)
	if remembers && a.memo.wants() {
		a.memo.add(ls, &knownGroup{
			key: slices.Clone(a.enc.key), labels: labels, hash: hash,
			payload: a.enc.groups.payload, position: n,
		})
	}
	return n, nil, nil
}

// place returns the position of a label set.
func (a *appender) place(hash uint32, key []byte, labels int) int {
	n, isNew := a.enc.groups.place(hash, key, labels)
	if isNew {
		a.groups = append(a.groups, appendGroup{newest: quantrac.MinMillis, last: -1})
	}
	return n
}

// groupKey makes the key at hand that of a row's group, and returns how many
// labels that has and its hash.
func (a *appender) groupKey(b *quantrac.Batch, i int, reserved func(string) bool) (labels int, hash uint32, err error) {
	ls := b.Rows[i].Group
	a.enc.key = ls.AppendKey(a.enc.key[:0])
	hash = a.enc.groups.hash(a.enc.key)
	if _, ok := a.enc.groups.find(hash, a.enc.key); ok {
		return len(ls), hash, nil // what is in the table has no reserved names
	}
	if k, ok := a.renamed[string(a.enc.key)]; ok {
		a.enc.key = append(a.enc.key[:0], k.key...)
		return k.labels, k.hash, nil
	}
	if err := validateGroup(ls); err != nil {
		return 0, 0, err
	}
	id := identity(b.Kind, ls, reserved)
	if err := validateModel(b, id); err != nil {
		return 0, 0, err
	}
	if sameSlice(id, ls) {
		return len(ls), hash, nil
	}
	if err := validateGroup(id); err != nil {
		return 0, 0, err
	}
	given := string(a.enc.key)
	a.enc.key = id.AppendKey(a.enc.key[:0])
	hash = a.enc.groups.hash(a.enc.key)
	a.renamed[given] = knownGroup{key: slices.Clone(a.enc.key), labels: len(id), hash: hash}
	return len(id), hash, nil
}

// sameSlice says whether two label sets are the same memory.
func sameSlice(a, b quantrac.Labels) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// shape returns the position of the row's list of properties; a list with a
// property twice has its earlier cells beaten. hint is where the list may be among
// the appender's.
func (a *appender) shape(row int, cells []quantrac.Cell, hint *int) (n int, err error) {
	payload := a.enc.groups.payload
	l := a.list(cells, hint)
	if l != nil && l.payload == payload {
		n = l.position
	} else {
		var isNew bool
		if n, isNew = a.enc.shape(cells); isNew {
			if err := validateProperties(cells); err != nil {
				return 0, err
			}
			a.twice = append(a.twice, propertyTwice(cells))
		}
		if l == nil {
			l = a.addList(cells, hint)
		}
		l.payload, l.position = payload, n
	}
	if a.twice[n] {
		for i := range cells {
			for k := i + 1; k < len(cells); k++ {
				if cells[k].Property == cells[i].Property {
					a.beaten[cellAt{row, i}] = struct{}{}
				}
			}
		}
	}
	return n, nil
}

// list finds the row's list of properties among those of rows before by comparing:
// a fleet has few, and a station mostly one.
func (a *appender) list(cells []quantrac.Cell, hint *int) *propertyList {
	if *hint < len(a.lists) && sameProperties(a.lists[*hint].props, cells) {
		return &a.lists[*hint]
	}
	for n := range a.lists {
		if sameProperties(a.lists[n].props, cells) {
			*hint = n
			return &a.lists[n]
		}
	}
	a.missed++
	return nil
}

// addList adds a list of properties, where it is worth it, and returns it.
func (a *appender) addList(cells []quantrac.Cell, hint *int) *propertyList {
	if len(a.lists) == maxLists || len(cells) > maxListed {
		return &propertyList{}
	}
	props := make([]string, len(cells))
	for i := range cells {
		props[i] = strings.Clone(cells[i].Property) // it may be a piece of what was sent
	}
	*hint = len(a.lists)
	a.lists = append(a.lists, propertyList{props: props})
	return &a.lists[*hint]
}

func sameProperties(props []string, cells []quantrac.Cell) bool {
	if len(props) != len(cells) {
		return false
	}
	for i := range cells {
		if cells[i].Property != props[i] {
			return false
		}
	}
	return true
}

const (
	maxLists  = 32 // lists of properties that are found by comparing
	maxListed = 64 // properties of one
)

func propertyTwice(cells []quantrac.Cell) bool {
	for i := range cells {
		for k := i + 1; k < len(cells); k++ {
			if cells[k].Property == cells[i].Property {
				return true
			}
		}
	}
	return false
}

// collide links row i to the earlier rows of its group and time, and marks
// their cells that it replaces.
func (a *appender) collide(b *quantrac.Batch, i int) {
	p := &a.rows[i]
	g := &a.groups[p.group]
	t := b.Rows[i].Time
	p.before = g.last
	switch {
	case g.last < 0 || t > g.newest:
		g.newest = t
	default:
		if g.at == nil {
			g.at = map[quantrac.Millis]int{}
			for k := g.last; k >= 0; k = a.rows[k].before {
				g.at[b.Rows[k].Time] = k // rising so far: no time twice
			}
		}
		if k, ok := g.at[t]; ok {
			p.sameTime = k
		}
	}
	g.last = i
	if g.at != nil {
		g.at[t] = i
	}
	for k := p.sameTime; k >= 0; k = a.rows[k].sameTime {
		for c, old := range b.Rows[k].Cells {
			for _, cell := range b.Rows[i].Cells {
				if cell.Property == old.Property {
					a.beaten[cellAt{k, c}] = struct{}{}
				}
			}
		}
	}
}

// encode writes the rows that plan has checked, less the beaten cells, failing
// those of devices that lie after ahead, and returns how many those are.
func (a *appender) encode(b *quantrac.Batch, ahead quantrac.Millis) (failed int) {
	for _, i := range a.byGroup() {
		r, p := &b.Rows[i], &a.rows[i]
		cells, shape := r.Cells, p.shape
		isAhead := b.Kind == quantrac.Readings && r.Time > ahead
		if isAhead || len(a.beaten) > 0 {
			cells = a.standing(int(i), cells)
			if len(cells) == 0 {
				continue
			}
			shape, _ = a.enc.shape(cells)
		}
		if isAhead {
			failed += len(cells)
			for k := range cells {
				if cells[k].Quality != quantrac.Missing {
					cells[k].Quality = quantrac.Fail
				}
			}
		}
		a.enc.row(p.group, shape, r.Time, r.Received, cells)
	}
	return failed
}

// byGroup returns the rows group by group, those of a group in their order: what
// applying them needs of a group has then to be fetched once a batch.
func (a *appender) byGroup() []int32 {
	a.next = append(a.next[:0], make([]int32, len(a.groups))...)
	for i := range a.rows {
		if g := a.rows[i].group + 1; g < len(a.next) {
			a.next[g]++ // rows of the group before
		}
	}
	for g := 1; g < len(a.next); g++ {
		a.next[g] += a.next[g-1]
	}
	a.order = slices.Grow(a.order[:0], len(a.rows))[:len(a.rows)]
	for i := range a.rows {
		at := &a.next[a.rows[i].group]
		a.order[*at] = int32(i)
		*at++
	}
	return a.order
}

// standing copies the cells of a row that are not beaten.
func (a *appender) standing(row int, cells []quantrac.Cell) []quantrac.Cell {
	a.cells = a.cells[:0]
	for i, c := range cells {
		if _, ok := a.beaten[cellAt{row, i}]; !ok {
			a.cells = append(a.cells, c)
		}
	}
	return a.cells
}
