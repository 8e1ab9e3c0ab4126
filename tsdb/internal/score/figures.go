package score

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Figures are what was measured: for each figure its value at each store. All of
// them are costs, the less the better.
type Figures struct {
	rows     []*figure
	Failures []string // what could not be measured, and why
}

type figure struct {
	name, unit string
	by         map[string]float64 // by name of the store
}

func (f *Figures) row(name string) *figure {
	i := slices.IndexFunc(f.rows, func(r *figure) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return f.rows[i]
}

// Set notes a figure of a store.
func (f *Figures) Set(name, unit, store string, v float64) {
	r := f.row(name)
	if r == nil {
		r = &figure{name, unit, map[string]float64{}}
		f.rows = append(f.rows, r)
	}
	r.by[store] = v
}

// Get returns a figure of a store, and whether it was measured.
func (f *Figures) Get(name, store string) (float64, bool) {
	r := f.row(name)
	if r == nil {
		return 0, false
	}
	v, ok := r.by[store]
	return v, ok
}

// fail notes what could not be measured.
func (f *Figures) fail(store, what string, err error) {
	f.Failures = append(f.Failures, fmt.Sprintf("%s, %s: %v", store, what, err))
}

// Table prints the figures: what the first of the stores needs, and what each
// other one needs with how many times that is.
func (f *Figures) Table(w io.Writer, stores []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "what\tunit\t%s\n", strings.Join(stores, "\t"))
	for _, r := range f.rows {
		fmt.Fprintf(t, "%s\t%s", r.name, r.unit)
		for _, s := range stores {
			fmt.Fprintf(t, "\t%s", r.cell(s, stores[0]))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil { // what went wrong before is said here
		return err
	}
	for _, text := range f.Failures {
		if _, err := fmt.Fprintf(w, "not measured: %s\n", text); err != nil {
			return err
		}
	}
	return nil
}

// cell writes a figure of a store, and how many times the first one's it is.
func (r *figure) cell(store, first string) string {
	v, ok := r.by[store]
	if !ok {
		return "–"
	}
	base, ok := r.by[first]
	if store == first || !ok || base == 0 {
		return number(v)
	}
	return fmt.Sprintf("%s (%s×)", number(v), number(v/base))
}

// number writes three digits that count, or all there are before the point.
func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
