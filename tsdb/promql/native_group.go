package promql

import (
	"math"
	"slices"

	"quantrac"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/schema"
	"github.com/prometheus/prometheus/util/kahansum"
)

// aggregates says whether an aggregation has a native path.
func aggregates(agg *parser.AggregateExpr) bool {
	switch agg.Op {
	case parser.MIN, parser.MAX, parser.SUM, parser.AVG, parser.COUNT, parser.GROUP:
		return agg.Param == nil
	}
	return false
}

func reservedName(label string) bool { return schema.IsMetadataLabel(label) }

// maxCells bounds the memory of groups: one cell is 32 bytes.
const maxCells = 4 << 20

// groups is a sink that aggregates.
type groups struct {
	op      parser.ItemType
	by      []string // sorted
	without bool
	out     *rows

	index map[string]int
	list  []group
	last  int // of them, the one that a series was added to
	key   []byte
}

// group is one group of series: a cell a step.
type group struct {
	labels quantrac.Labels
	cells  []cell
}

// cell is what a group has come to at one step.
type cell struct {
	value, c float64 // c: compensation of a sum
	mean     float64 // once the sum has overflowed
	count    uint32  // 0: nothing yet
	moving   bool    // the mean is moved
}

func newGroups(agg *parser.AggregateExpr, out *rows) *groups {
	by := slices.Clone(agg.Grouping)
	slices.Sort(by)
	return &groups{op: agg.Op, by: slices.Compact(by), without: agg.Without, out: out, index: map[string]int{}}
}

func (g *groups) add(j *joiner, id quantrac.Labels, _ bool, c columns) error {
	cells, err := g.of(j, id)
	if err != nil {
		return err
	}
	all := c.shown == len(c.counts) // then they need not be looked at
	values := c.values[:len(c.counts)]
	cells = cells[:len(values)]
	switch g.op {
	case parser.MIN:
		for k, v := range values {
			if all || c.counts[k] > 0 {
				cells[k].least(v)
			}
		}
	case parser.MAX:
		for k, v := range values {
			if all || c.counts[k] > 0 {
				cells[k].greatest(v)
			}
		}
	case parser.SUM:
		for k, v := range values {
			if all || c.counts[k] > 0 {
				cells[k].sum(v)
			}
		}
	case parser.AVG:
		for k, v := range values {
			if !all && c.counts[k] == 0 {
				continue
			}
			// Most often there is a sum already, and it stays finite.
			cell := &cells[k]
			if sum, rest := plus(v, cell.value, cell.c); rest == rest && cell.count > 0 && !cell.moving {
				cell.value, cell.c = sum, rest
				cell.count++
			} else {
				cell.average(v)
			}
		}
	default:
		for k, n := range c.counts {
			if n > 0 {
				cells[k].count++
			}
		}
	}
	return nil
}

// of returns the cells of a series' group.
func (g *groups) of(j *joiner, id quantrac.Labels) ([]cell, error) {
	meta := j.metadata(id.Station())
	g.key = g.key[:0]
	if g.without {
		g.key = g.rest(j, id).AppendKey(g.key)
	} else {
		for _, name := range g.by {
			g.key = append(append(g.key, labelOf(id, meta, name)...), 0xff) // which no UTF-8 has
		}
	}
	i, ok := g.index[string(g.key)]
	if !ok {
		if i = len(g.list); (i+1)*g.out.grid.steps > maxCells {
			return nil, errDeclined
		}
		if err := g.out.share.hold(2 * g.out.grid.steps); err != nil {
			return nil, err
		}
		g.index[string(g.key)] = i
		g.list = append(g.list, group{g.labels(j, id, meta), make([]cell, g.out.grid.steps)})
	}
	g.last = i
	return g.list[i].cells, nil
}

// labels makes the label set of a series' group.
func (g *groups) labels(j *joiner, id, meta quantrac.Labels) quantrac.Labels {
	if g.without {
		return g.rest(j, id)
	}
	out := make(quantrac.Labels, 0, len(g.by))
	for _, name := range g.by {
		if v := labelOf(id, meta, name); v != "" {
			out = append(out, quantrac.Label{Name: name, Value: v})
		}
	}
	return out
}

// rest returns the labels that are not grouped away.
func (g *groups) rest(j *joiner, id quantrac.Labels) quantrac.Labels {
	return j.merged(id, true).Without(g.by...)
}

// labelOf returns a label of a series that has these metadata.
func labelOf(id, meta quantrac.Labels, name string) string {
	if v := meta.Get(name); v != "" {
		return v
	}
	return id.Get(name)
}

func (g *groups) finish() error {
	c := &g.out.shown
	for _, group := range g.list {
		c.reset(g.out.grid.steps)
		for k := range group.cells {
			if cell := &group.cells[k]; cell.count > 0 {
				c.set(k, cell.result(g.op))
			}
		}
		if err := g.out.add(group.labels, *c); err != nil {
			return err
		}
	}
	return nil
}

// take takes a further value in, as groups.add does.
func (c *cell) take(op parser.ItemType, v float64) {
	switch op {
	case parser.MIN:
		c.least(v)
	case parser.MAX:
		c.greatest(v)
	case parser.SUM:
		c.sum(v)
	case parser.AVG:
		c.average(v)
	default:
		c.count++
	}
}

// The following take a further value in, by the engine's own steps.

func (c *cell) least(v float64) {
	if c.count == 0 || c.value > v || c.value != c.value {
		c.value, c.count = v, 1
	}
}

func (c *cell) greatest(v float64) {
	if c.count == 0 || c.value < v || c.value != c.value {
		c.value, c.count = v, 1
	}
}

func (c *cell) sum(v float64) {
	if c.count == 0 {
		c.value, c.count = v, 1
		return
	}
	c.value, c.c = inc(v, c.value, c.c)
}

// inc says what kahansum.Inc says, mostly without its branches.
func inc(v, sum, c float64) (float64, float64) {
	if t, rest := plus(v, sum, c); rest == rest {
		return t, rest
	}
	return kahansum.Inc(v, sum, c)
}

func (c *cell) average(v float64) {
	if c.count++; c.count == 1 {
		c.value = v
		return
	}
	n := float64(c.count)
	if !c.moving {
		sum, rest := inc(v, c.value, c.c)
		if !math.IsInf(sum, 0) {
			c.value, c.c = sum, rest
			return
		}
		c.moving = true
		c.mean, c.c = c.value/(n-1), c.c/(n-1)
	}
	q := (n - 1) / n
	c.mean, c.c = kahansum.Inc(v/n, q*c.mean, q*c.c)
}

func (c *cell) result(op parser.ItemType) float64 {
	n := float64(c.count)
	switch {
	case op == parser.SUM:
		return c.value + c.c
	case op == parser.AVG && c.moving:
		return c.mean + c.c
	case op == parser.AVG:
		return c.value/n + c.c/n
	case op == parser.COUNT:
		return n
	case op == parser.GROUP:
		return 1
	}
	return c.value
}
