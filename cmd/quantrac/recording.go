package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"quantrac"
)

// read reads a recording into rows of JSON.
func (c *replayCmd) read(file, device string) ([]recorded, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	cr := csv.NewReader(withoutMark(r))
	cr.Comment, cr.ReuseRecord, cr.FieldsPerRecord = '#', true, -1
	head, err := cr.Read()
	if err == io.EOF {
		err = errors.New("is empty; want a header line")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	l, err := c.layout(slices.Clone(head))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var rows []recorded
	for {
		rec, err := cr.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		line, _ := cr.FieldPos(0)
		at, vals, err := l.row(rec)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, line, err)
		}
		if len(vals) == 0 || at < l.from || at >= l.to {
			continue
		}
		b, err := json.Marshal(map[string]any{"time": int64(at), "values": vals})
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, line, err)
		}
		rows = append(rows, recorded{at, device, b})
	}
}

// withoutMark leaves out the mark with which spreadsheets begin UTF-8 text.
func withoutMark(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	if mark, err := b.Peek(3); err == nil && string(mark) == "\uFEFF" {
		_, _ = b.Discard(3) // they have been seen
	}
	return b
}

// layout says where a recording keeps what.
type layout struct {
	head     []string
	time     int
	zone     *time.Location
	cols     []column
	fault    []float64
	from, to quantrac.Millis
}

type column struct {
	index  int
	metric string
	factor float64
}

var timeColumns = []string{"time", "datetime", "timestamp", "date", "thoi_gian"}

func (c *replayCmd) layout(head []string) (*layout, error) {
	l := &layout{head: head, time: -1, fault: c.Fault, from: quantrac.MinMillis, to: quantrac.MaxMillis}
	names := timeColumns
	if c.TimeColumn != "" {
		names = []string{c.TimeColumn}
	}
	for _, n := range names {
		if l.time = slices.Index(head, n); l.time >= 0 {
			break
		}
	}
	if l.time < 0 {
		return nil, fmt.Errorf("no time column %s among %s", strings.Join(names, ", "), strings.Join(head, ", "))
	}
	t, err := time.Parse("-07:00", c.Zone)
	if err != nil {
		return nil, fmt.Errorf("--zone %q: write an offset such as +07:00", c.Zone)
	}
	l.zone = t.Location()
	if c.From != "" {
		if l.from, err = quantrac.ParseTime(c.From); err != nil {
			return nil, fmt.Errorf("--from: %w", err)
		}
	}
	if c.To != "" {
		if l.to, err = quantrac.ParseTime(c.To); err != nil {
			return nil, fmt.Errorf("--to: %w", err)
		}
	}
	for _, spec := range c.Column {
		name, target, ok := strings.Cut(spec, "=")
		metric, factor, scaled := strings.Cut(target, "*")
		k := 1.0
		if scaled {
			k, err = strconv.ParseFloat(factor, 64)
		}
		if !ok || err != nil || !quantrac.ValidMetricName(metric) {
			return nil, fmt.Errorf("--column %q: write NAME=METRIC or NAME=METRIC*FACTOR, such as stage=water_level_meters*0.01", spec)
		}
		i := slices.Index(head, name)
		if i < 0 {
			return nil, fmt.Errorf("--column %q: no such column among %s", spec, strings.Join(head, ", "))
		}
		l.cols = append(l.cols, column{i, metric, k})
	}
	if len(c.Column) == 0 {
		for i, n := range head {
			if i != l.time && strings.Contains(n, "_") && quantrac.ValidMetricName(n) {
				l.cols = append(l.cols, column{i, n, 1})
			}
		}
	}
	if len(l.cols) == 0 {
		return nil, fmt.Errorf("no column to publish; name some with --column NAME=METRIC (the file has %s)", strings.Join(head, ", "))
	}
	return l, nil
}

var timeForms = []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// row reads one row. Text that stands for no reading is left out; anything
// else that is not a number is an error that names the column.
func (l *layout) row(rec []string) (quantrac.Millis, map[string]json.Number, error) {
	if len(rec) != len(l.head) {
		return 0, nil, fmt.Errorf("%d cells, but the header has %d", len(rec), len(l.head))
	}
	at, err := l.parseTime(rec[l.time])
	if err != nil {
		return 0, nil, fmt.Errorf("column %q: %w", l.head[l.time], err)
	}
	vals := make(map[string]json.Number, len(l.cols))
	for _, c := range l.cols {
		text := strings.TrimSpace(rec[c.index])
		switch strings.ToLower(text) {
		case "", "null", "na", "nan", "-":
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(v, 0) {
			return 0, nil, fmt.Errorf("column %q: %q is no number", l.head[c.index], text)
		}
		if c.factor == 1 || slices.Contains(l.fault, v) {
			vals[c.metric] = json.Number(strconv.FormatFloat(v, 'g', -1, 64))
			continue
		}
		// A recorded decimal times a factor is a decimal again; twelve digits
		// keep it one (63.42*0.01 is 0.6342, not 0.6342000000000001).
		vals[c.metric] = json.Number(strconv.FormatFloat(v*c.factor, 'g', 12, 64))
	}
	return at, vals, nil
}

func (l *layout) parseTime(text string) (quantrac.Millis, error) {
	for _, form := range timeForms {
		if t, err := time.ParseInLocation(form, text, l.zone); err == nil {
			return quantrac.FloorMillis(t), nil
		}
	}
	if at, err := quantrac.ParseTime(text); err == nil {
		return at, nil
	}
	return 0, fmt.Errorf("%q is none of RFC 3339, 2006-01-02 15:04[:05], 2006-01-02, Unix seconds", text)
}
