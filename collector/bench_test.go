package collector

import (
	"context"
	"fmt"
	"testing"

	"quantrac"
)

type lastStore struct{ rows int }

func (s *lastStore) Append(_ context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	s.rows += len(b.Rows)
	return quantrac.Receipt{}, nil
}

// BenchmarkTake takes messages of one row of a device, in both forms, from its
// queue to a store that does nothing.
func BenchmarkTake(b *testing.B) {
	run := func(topic, format string) {
		b.Run(topic, func(b *testing.B) {
			st := &lastStore{}
			c := New(st, fakeRegistry{"d1": binding("d1", "tq")}, &fakeDead{}, quantrac.NewManualClock(start), Options{})
			defer c.Close()
			done := make(chan error, 256)
			m := Message{Device: "d1", Topic: "v1/d1/" + topic, Received: start, Ack: func(err error) { done <- err }}
			b.ReportAllocs()
			sent := 0
			for b.Loop() {
				at := start - quantrac.Millis(1000_000-sent%1000_000)
				m.Payload = fmt.Appendf(nil, format, sent%7, sent%1000, at)
				if err := c.Take(b.Context(), m); err != nil {
					b.Fatal(err)
				}
				if sent++; sent > 200 {
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	run("obs", `{"time":%[3]d,"values":{"water_level_meters":%[1]d.%03[2]d,"rainfall_millimeters":0.2}}`)
	run("line", "water,station=tq level_meters=%d.%03d %d000000\nrainfall millimeters=0.2 %[3]d000000")
}
