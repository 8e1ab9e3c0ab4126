package exchange

import (
	"fmt"
	"slices"
	"strings"

	"quantrac"
)

// The parts that columns of CSV and Parquet play. Every other column is a label.
const (
	partTime       = "time"    // RFC 3339 in CSV, a timestamp in Parquet
	partMillis     = "time_ms" // CSV alone
	partMetric     = "metric"
	partValue      = "value"
	partQuality    = "quality"
	partLayer      = "layer"
	partReceived   = "received_ms"
	partCommit     = "commit"
	partCommitted  = "committed_ms"
	partAuthor     = "author"
	partReason     = "reason"
	partCorrection = "correction"
	partRevoked    = "revoked"
)

var parts = []string{
	partTime, partMillis, partMetric, partValue, partQuality, partLayer, partReceived,
	partCommit, partCommitted, partAuthor, partReason, partCorrection, partRevoked,
}

// labelPrefix stands before the name of a label that would else be taken for a
// part.
const labelPrefix = "label:"

// labelColumn is the column of a label, labelOf the label of a column.
func labelColumn(label string) string {
	if slices.Contains(parts, label) || strings.HasPrefix(label, labelPrefix) {
		return labelPrefix + label
	}
	return label
}

func labelOf(column string) string { return strings.TrimPrefix(column, labelPrefix) }

// layout says where a file keeps what.
type layout struct {
	parts  map[string]int // position of the column of a part
	labels []labelAt
}

type labelAt struct {
	name string
	at   int
}

// layout finds the parts among the names of columns.
func (o *ReadOptions) layout(names []string) (*layout, error) {
	l := &layout{parts: map[string]int{}}
	taken := map[int]bool{}
	at := make(map[string]int, len(names)) // a file may have a million
	for i, name := range names {
		if _, twice := at[name]; twice {
			return nil, quantrac.Errorf(quantrac.Invalid, "two columns are called %s", quoted(name))
		}
		at[name] = i
	}
	for part, name := range o.Columns {
		if !slices.Contains(parts, part) {
			return nil, quantrac.Errorf(quantrac.Invalid, "%q is no part that a column plays: want one of %s", part, strings.Join(parts, ", "))
		}
		i, ok := at[name]
		if !ok {
			return nil, quantrac.Errorf(quantrac.Invalid, "no column %q, which is to be the %s, among %s", name, part, listed(names))
		}
		l.parts[part], taken[i] = i, true
	}
	for i, name := range names {
		if _, named := l.parts[name]; taken[i] || slices.Contains(o.Ignore, name) || named {
			continue
		}
		if slices.Contains(parts, name) {
			l.parts[name] = i
		} else {
			l.labels = append(l.labels, labelAt{labelOf(name), i})
		}
	}
	slices.SortFunc(l.labels, func(a, b labelAt) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(l.labels); i++ {
		if l.labels[i].name == l.labels[i-1].name {
			return nil, quantrac.Errorf(quantrac.Invalid, "two columns are the label %q", l.labels[i].name)
		}
	}
	return l, l.missing(o, names)
}

// missing says which parts are wanted and not there.
func (l *layout) missing(o *ReadOptions, names []string) error {
	var want []string
	_, text := l.parts[partTime]
	if _, millis := l.parts[partMillis]; !text && !millis {
		want = append(want, partTime+" or "+partMillis)
	}
	if _, ok := l.parts[partMetric]; !ok && o.Metric == "" && o.Labels.Metric() == "" {
		want = append(want, partMetric+" (or one metric for all)")
	}
	if _, ok := l.parts[partValue]; !ok {
		want = append(want, partValue)
	}
	if len(want) == 0 {
		return nil
	}
	return quantrac.Errorf(quantrac.Invalid, "no column %s among %s; say which columns they are", strings.Join(want, ", "), listed(names))
}

// maxListed bounds the columns that an error names.
const maxListed = 40

// listed names columns for people: of a file that is no table, the first line
// may be all of it.
func listed(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i == maxListed {
			fmt.Fprintf(&b, " and %d more", len(names)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quoted(name))
	}
	return b.String()
}

// series makes the labels of a row of their texts.
func (l *layout) series(o *ReadOptions, cell func(at int) string) (quantrac.Labels, error) {
	ls := make(quantrac.Labels, 0, len(l.labels)+1)
	for _, c := range l.labels {
		if v := cell(c.at); v != "" {
			if c.name == "" {
				return nil, fmt.Errorf("a label without a name has the value %s: the column has no heading", quoted(v))
			}
			ls = append(ls, quantrac.Label{Name: c.name, Value: v})
		}
	}
	if at, ok := l.parts[partMetric]; ok {
		ls = ls.With(quantrac.LabelMetric, cell(at))
	}
	ls = o.with(ls)
	return ls, checkSeries(ls)
}

// labelColumns are the labels that have columns: all but the metric name.
func (o *WriteOptions) labelColumns() ([]string, error) {
	names := make([]string, 0, len(o.LabelNames))
	for i, n := range o.LabelNames {
		if i > 0 && o.LabelNames[i-1] >= n {
			return nil, quantrac.Errorf(quantrac.Invalid, "labels %q and %q are not in order", o.LabelNames[i-1], n)
		}
		if n != quantrac.LabelMetric {
			names = append(names, n)
		}
	}
	return names, nil
}

// place gives each label of a series to its column; all others are empty.
func place(ls quantrac.Labels, names []string, give func(column int, value string)) error {
	for _, l := range ls {
		if l.Name == quantrac.LabelMetric {
			continue
		}
		i, ok := slices.BinarySearch(names, l.Name)
		if !ok {
			return quantrac.Errorf(quantrac.Invalid, "series %v has a label %q, for which there is no column", ls, l.Name)
		}
		give(i, l.Value)
	}
	return nil
}
