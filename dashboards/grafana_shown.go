package dashboards

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// hidden are the columns that a table leaves out.
func (p *grafanaPanel) hidden() []string {
	var out []string
	for _, t := range p.Transformations {
		for name, gone := range t.Options.ExcludeByName {
			if gone {
				out = append(out, name)
			}
		}
	}
	return out
}

// legendLabel is a label in a legend.
var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// Shown returns what people read of a series with these labels: its legend or,
// in a table, the row's labels.
func (q Query) Shown(series map[string]string) string {
	if q.Legend != "" {
		return legendLabel.ReplaceAllStringFunc(q.Legend, func(ref string) string {
			return series[legendLabel.FindStringSubmatch(ref)[1]]
		})
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(series)) {
		if !slices.Contains(q.Hidden, name) {
			out = append(out, series[name])
		}
	}
	return strings.Join(out, " ")
}
