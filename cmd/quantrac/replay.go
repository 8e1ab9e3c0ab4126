package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"quantrac"
	"quantrac/devices"
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

// Run implements the command. Nothing is published of files that cannot be read
// to their end.
func (c *replayCmd) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
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
		if !devices.ValidID(device) {
			return fmt.Errorf("%s: %q cannot be a device's id (want 1 to 64 of A-Z a-z 0-9 _ -); name one with --device", file, device)
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
	fl, err := newFleet(c.MQTT, func(string) string { return c.Password }, log)
	if err != nil {
		return err
	}
	defer fl.close()
	fmt.Fprintf(out, "replay: %d rows from %s to %s\n", len(rows), rows[0].at, rows[len(rows)-1].at)
	err = c.publish(ctx, fl, rows, newProgress(out, "replay", int64(len(rows))))
	if ctx.Err() != nil {
		return errors.New("interrupted before the end of the recording; replayed again, what is there already changes nothing")
	}
	return err
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
