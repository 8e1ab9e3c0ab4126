package main

import (
	"cmp"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"quantrac"
)

// replayCmd publishes recorded observations as MQTT devices would have.
type replayCmd struct {
	MQTT       string    `name:"mqtt" required:"" placeholder:"URL" help:"Broker, such as mqtt://127.0.0.1:1883."`
	File       []string  `name:"file" required:"" sep:"none" placeholder:"FILE.csv" help:"Recording, plain or gzip; give it several times to replay several stations in step."`
	Device     []string  `name:"device" sep:"none" help:"Device id of each --file, in order; by default the file's name in lower case."`
	TimeColumn string    `name:"time-column" help:"Column of the time; by default the first of time, datetime, timestamp, date, thoi_gian that is there."`
	Zone       string    `name:"zone" default:"+00:00" help:"Offset of times that carry none, such as +07:00; write --zone=-07:00 for one west of Greenwich."`
	Column     []string  `name:"column" sep:"none" placeholder:"NAME=METRIC[*FACTOR]" help:"Column to publish and the property it becomes, such as stage=water_level_meters*0.01; by default every column that is named like a property."`
	Fault      []float64 `default:"-9999,7999" help:"Codes of the logger for no reading: published as they are, without the factor."`
	From       string    `help:"Leave out what is before this time."`
	To         string    `help:"Leave out this time and what is after it."`
	Speed      float64   `default:"0" help:"Recorded seconds per second; 0 is as fast as acknowledged."`
	Batch      int       `default:"1" help:"Rows in one message at the most (at speed 0 only)."`
	Clock      string    `name:"drive-clock" placeholder:"URL" help:"Drive the clock of the service at this address by the recording; it must run with --clock replay."`
	Password   string    `help:"Credential of the devices." env:"QUANTRAC_DEVICE_TOKEN"`
}

// maxInFlight bounds the messages of a replay that await acknowledgement.
const maxInFlight = 500

// Run implements the command.
func (c *replayCmd) Run(ctx context.Context, out io.Writer, _ *slog.Logger) error {
	if len(c.Device) != 0 && len(c.Device) != len(c.File) {
		return fmt.Errorf("%d --device for %d --file: give one each, or none", len(c.Device), len(c.File))
	}
	if c.Speed < 0 || c.Batch < 1 {
		return errors.New("want --speed of 0 or more and --batch of 1 or more")
	}
	var rows []recorded
	for i, file := range c.File {
		device := deviceOf(file)
		if len(c.Device) > 0 {
			device = c.Device[i]
		}
		rs, err := c.read(file, device)
		if err != nil {
			return err
		}
		rows = append(rows, rs...)
	}
	slices.SortStableFunc(rows, func(a, b recorded) int { return cmp.Compare(a.at, b.at) })
	if len(rows) == 0 {
		return errors.New("nothing to replay: no row lies in the span asked for")
	}
	fl, err := newFleet(c.MQTT, func(string) string { return c.Password })
	if err != nil {
		return err
	}
	defer fl.close()
	fmt.Fprintf(out, "replay: %d rows from %s to %s\n", len(rows), rows[0].at, rows[len(rows)-1].at)
	return c.publish(ctx, fl, rows, newProgress(out, "replay", int64(len(rows))))
}

func deviceOf(file string) string {
	name := strings.ToLower(filepath.Base(file))
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".csv")
	return name
}

// recorded is one row of a recording.
type recorded struct {
	at     quantrac.Millis
	device string
	json   []byte
}

func (c *replayCmd) publish(ctx context.Context, fl *fleet, rows []recorded, p *progress) error {
	clock := quantrac.SystemClock{}
	start, first := clock.Now(), rows[0].at
	var flight []*delivery
	drain := func(leave int) error {
		for len(flight) > leave {
			if err := flight[0].wait(ctx); err != nil {
				return err
			}
			flight = flight[1:]
		}
		return nil
	}
	send := func(device string, rows []recorded) error {
		d, err := fl.publish(ctx, device, "v1/"+device+"/obs", payload(rows))
		if err != nil {
			return err
		}
		flight = append(flight, d)
		return drain(maxInFlight)
	}
	most := 1 // rows in a message: where time matters, each goes by itself
	if c.Speed == 0 && c.Clock == "" {
		most = c.Batch
	}
	gathered := map[string][]recorded{}
	for i, r := range rows {
		if c.Speed > 0 {
			if err := sleepUntil(ctx, clock, start+quantrac.Millis(float64(r.at-first)/c.Speed)); err != nil {
				return err
			}
		}
		if c.Clock != "" && (i == 0 || rows[i-1].at != r.at) {
			// The readings before this instant are in before the clock moves on.
			if err := drain(0); err != nil {
				return err
			}
			if err := setClock(ctx, c.Clock, r.at); err != nil {
				return err
			}
		}
		if gathered[r.device] = append(gathered[r.device], r); len(gathered[r.device]) >= most {
			if err := send(r.device, gathered[r.device]); err != nil {
				return err
			}
			delete(gathered, r.device)
		}
		p.at(int64(i + 1))
	}
	for _, device := range slices.Sorted(maps.Keys(gathered)) {
		if err := send(device, gathered[device]); err != nil {
			return err
		}
	}
	if err := drain(0); err != nil {
		return err
	}
	p.done()
	return nil
}

func payload(rows []recorded) []byte {
	if len(rows) == 1 {
		return rows[0].json
	}
	b := []byte{'['}
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.json...)
	}
	return append(b, ']')
}

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
	cr := csv.NewReader(r)
	cr.Comment, cr.ReuseRecord = '#', true
	head, err := cr.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: header: %w", file, err)
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

// layout says where a recording keeps what.
type layout struct {
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
	l := &layout{time: -1, fault: c.Fault, from: quantrac.MinMillis, to: quantrac.MaxMillis}
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
	at, err := l.parseTime(rec[l.time])
	if err != nil {
		return 0, nil, err
	}
	vals := make(map[string]json.Number, len(l.cols))
	for _, c := range l.cols {
		text := strings.TrimSpace(rec[c.index])
		switch strings.ToLower(text) {
		case "", "null", "na", "nan", "-":
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, nil, fmt.Errorf("column %d: %q is no number", c.index+1, text)
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
	return 0, fmt.Errorf("time %q is none of RFC 3339, 2006-01-02 15:04[:05], 2006-01-02, Unix seconds", text)
}
