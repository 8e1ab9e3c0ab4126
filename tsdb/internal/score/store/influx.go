package store

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
)

// InfluxName is the name of InfluxDB in tables.
const InfluxName = "InfluxDB"

// InfluxDB is InfluxDB 1 with its index on disk. It speaks no PromQL, so that it
// is loaded and weighed, and asked nothing.
func InfluxDB(program string) *Kind {
	return &Kind{
		Name: InfluxName, Program: program,
		args: func(string, string) []string { return []string{"run"} },
		env: func(dir, addr string) []string {
			return []string{
				"INFLUXDB_META_DIR=" + filepath.Join(dir, "meta"), "INFLUXDB_DATA_DIR=" + filepath.Join(dir, "data"),
				"INFLUXDB_DATA_WAL_DIR=" + filepath.Join(dir, "wal"), "INFLUXDB_DATA_INDEX_VERSION=tsi1",
				"INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION=5s", "INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION=5s",
				"INFLUXDB_HTTP_BIND_ADDRESS=" + addr, "INFLUXDB_BIND_ADDRESS=127.0.0.1:0", "INFLUXDB_REPORTING_DISABLED=true",
				"INFLUXDB_MONITOR_STORE_ENABLED=false", "INFLUXDB_HTTP_LOG_ENABLED=false",
			}
		},
		begin: func(ctx context.Context, s *Server) error {
			_, err := s.call(ctx, s.client, http.MethodPost, "/query?q="+url.QueryEscape("CREATE DATABASE load"), nil, nil)
			return err
		},
		ready: "/ping", write: "/write?db=load",
		settle: quietInflux, sizes: weighInflux,
	}
}

// quietInflux waits until it has compacted what has not been written to for some
// seconds, which it does by itself.
func quietInflux(ctx context.Context, s *Server) error { return s.still(ctx, 20) }

// weighInflux counts the database that was loaded, its log apart.
func weighInflux(dir string) (Sizes, error) {
	return weigh(dir, func(path string) string {
		switch {
		case !strings.Contains(path, "/load/"):
			return ""
		case strings.HasSuffix(path, ".tsm"):
			return "values and times"
		case strings.HasPrefix(path, "wal/"):
			return "log"
		}
		return "index"
	})
}
