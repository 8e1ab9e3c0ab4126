package store

import (
	"context"
	"math"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"quantrac/tsdb/internal/score/load"
)

// PrometheusName is the name of Prometheus in tables.
const PrometheusName = "Prometheus"

// Prometheus is Prometheus as a receiver of remote writes that takes samples up
// to a month out of order.
func Prometheus(program string) *Kind {
	return &Kind{
		Name: PrometheusName, Program: program,
		prepare: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte("storage:\n  tsdb:\n    out_of_order_time_window: 31d\n"), 0o600)
		},
		args: func(dir, addr string) []string {
			return []string{
				"--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"),
				"--storage.tsdb.retention.time", "100y", "--web.listen-address", addr, "--web.enable-remote-write-receiver",
			}
		},
		ready: "/-/ready", write: "/api/v1/write", encode: remoteWrite,
		headers: map[string]string{
			"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0",
		},
		settle: func(context.Context, *Server) error { return nil },
		sizes: func(dir string) (Sizes, error) {
			return weigh(filepath.Join(dir, "data"), func(string) string { return "blocks and log" })
		},
	}
}

// remoteWrite writes lines as a remote write of version 1: a series with one
// sample for every value.
func remoteWrite(lines []byte) ([]byte, error) {
	var req, series []byte
	for l, err := range load.Parse(lines) {
		if err != nil {
			return nil, err
		}
		for _, f := range l.Fields {
			series = label(series[:0], "__name__", f.Metric)
			// Labels go sorted by name.
			for _, name := range []string{"area", "basin", "station"} {
				for _, tag := range l.Tags {
					if tag[0] == name {
						series = label(series, name, tag[1])
					}
				}
			}
			series = message(series, 2, sample(f.Value, l.Time.UnixMilli()))
			req = message(req, 1, series)
		}
	}
	return s2.EncodeSnappy(nil, req), nil
}

// message appends field number n of a message.
func message(b []byte, n protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), body)
}

func label(b []byte, name, value string) []byte {
	return message(b, 1, message(message(nil, 1, []byte(name)), 2, []byte(value)))
}

func sample(v float64, ms int64) []byte {
	b := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(v))
	return protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), uint64(ms))
}
