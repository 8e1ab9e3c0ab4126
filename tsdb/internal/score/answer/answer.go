// Package answer reads what a store says through the Prometheus API and compares
// two answers to one question: the same series, the same times, and values that
// are equal or within a tolerance. The first difference is told in words.
//
// Only the programs and tests below tsdb/internal/score may import it.
package answer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Point is one value of a series.
type Point struct {
	At    int64 // milliseconds
	Value float64
}

// Answer is the points of each series. A series is named by its labels without
// the metric's name: stores disagree on which functions keep it. Of a list of
// strings each one is a series without points.
type Answer map[string][]Point

// Values is how many values there are.
func (a Answer) Values() int {
	n := 0
	for _, ps := range a {
		n += len(ps)
	}
	return n
}

// Parse reads the body of an answer.
func Parse(body []byte) (Answer, error) {
	var doc struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("answer %.200q: %w", body, err)
	}
	if doc.Status != "success" {
		return nil, errors.New(doc.Error)
	}
	if len(doc.Data) > 0 && doc.Data[0] == '[' {
		return list(doc.Data)
	}
	return result(doc.Data)
}

func list(data []byte) (Answer, error) {
	var names []string
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, err
	}
	a := Answer{}
	for _, n := range names {
		a[n] = nil
	}
	if len(a) < len(names) {
		return nil, fmt.Errorf("%d names, but only %d different ones", len(names), len(a))
	}
	return a, nil
}

func result(data []byte) (Answer, error) {
	var doc struct {
		Result []struct {
			Metric map[string]string
			Value  *point
			Values []point
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	a := Answer{}
	for _, s := range doc.Result {
		name := series(s.Metric)
		if _, twice := a[name]; twice {
			return nil, fmt.Errorf("series %s is there twice", name)
		}
		if s.Value != nil {
			s.Values = append(s.Values, *s.Value)
		}
		ps := make([]Point, len(s.Values))
		for i, p := range s.Values {
			ps[i] = Point(p)
		}
		a[name] = ps
	}
	return a, nil
}

// series writes labels in a fixed order.
func series(metric map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(metric)) {
		if k != "__name__" {
			fmt.Fprintf(&b, ",%s=%q", k, metric[k])
		}
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}"
}

// point reads [1792540800.5,"1.23"].
type point Point

// UnmarshalJSON implements json.Unmarshaler.
func (p *point) UnmarshalJSON(text []byte) error {
	at, value, _ := strings.Cut(strings.Trim(string(text), "[] \n"), ",")
	sec, err1 := strconv.ParseFloat(strings.TrimSpace(at), 64)
	v, err2 := strconv.ParseFloat(strings.Trim(value, `" `), 64)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%q is no point: %w", text, err)
	}
	*p = point{int64(math.Round(sec * 1000)), v}
	return nil
}

// Compare returns "" where two answers agree, else the first difference between
// what was got and what was wanted. A tolerance is a share of the largest value
// that is wanted of the series; 0 wants values equal to the last digit. With a
// negative one only series and times are compared.
func Compare(got, want Answer, tolerance float64) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		ps, ok := got[name]
		if !ok {
			return fmt.Sprintf("no series %s (%d series, wanted %d)", name, len(got), len(want))
		}
		if diff := points(ps, want[name], tolerance); diff != "" {
			return fmt.Sprintf("%s %s", name, diff)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			return fmt.Sprintf("a series %s too many (%d series, wanted %d)", name, len(got), len(want))
		}
	}
	return ""
}

func points(got, want []Point, tolerance float64) string {
	within := tolerance
	if tolerance > 0 {
		within *= largest(want)
	}
	for i, w := range want {
		switch {
		case i == len(got):
			return fmt.Sprintf("ends before %d (%d values, wanted %d)", w.At, len(got), len(want))
		case got[i].At != w.At:
			return fmt.Sprintf("has a value at %d, wanted the next at %d", got[i].At, w.At)
		case !same(got[i].Value, w.Value, within):
			return fmt.Sprintf("is %v at %d, wanted %v", got[i].Value, w.At, w.Value)
		}
	}
	if len(got) > len(want) {
		return fmt.Sprintf("has %d values, wanted %d; the first too many is at %d", len(got), len(want), got[len(want)].At)
	}
	return ""
}

func largest(ps []Point) float64 {
	most := 0.0
	for _, p := range ps {
		if !math.IsNaN(p.Value) {
			most = math.Max(most, math.Abs(p.Value))
		}
	}
	return most
}

func same(got, want, within float64) bool {
	return within < 0 || got == want || math.IsNaN(got) && math.IsNaN(want) || math.Abs(got-want) <= within
}
