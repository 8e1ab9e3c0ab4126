package promql

import (
	"maps"
	"slices"
)

// gathered is strings of several sources. Those of a source are sorted and none
// is there twice; where there is one source they need not be sorted again.
type gathered struct {
	sources int
	list    []string
}

// add takes a list over.
func (g *gathered) add(list []string) {
	if len(list) == 0 {
		return
	}
	if g.sources++; g.sources == 1 {
		g.list = list
		return
	}
	g.list = append(g.list, list...)
}

// addSet adds strings in no order, less the empty one.
func (g *gathered) addSet(set map[string]bool) {
	delete(set, "")
	g.add(slices.Sorted(maps.Keys(set)))
}

// answer is an answer of sorted strings, at most limit of them.
func (g *gathered) answer(limit int) answer {
	if g.sources > 1 {
		slices.Sort(g.list)
		g.list = slices.Compact(g.list)
	}
	var ans answer
	if limit > 0 && len(g.list) > limit {
		g.list, ans.warnings = g.list[:limit], []string{truncatedWarning}
	}
	ans.data = func(w *writer) { w.strs(g.list) }
	return ans
}
