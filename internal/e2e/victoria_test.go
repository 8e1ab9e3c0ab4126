package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// victoria starts VictoriaMetrics, which has to be asked for, and returns its
// address. What it has exported is a file of package exchange's tests as well.
func victoria(t *testing.T) string {
	t.Helper()
	if os.Getenv("VICTORIA_METRICS") == "" {
		t.Skip("set VICTORIA_METRICS to the program of VictoriaMetrics")
	}
	program := os.Getenv("VICTORIA_METRICS")
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	vm := spawnCommand(t, exec.Command(program, "-storageDataPath", t.TempDir(), "-httpListenAddr", addr, "-retentionPeriod", "100y"))
	base := "http://" + addr
	eventually(t, "VictoriaMetrics ready", func() error {
		select {
		case <-vm.done:
			t.Fatalf("VictoriaMetrics ended: %v\n%s", vm.err, vm.log)
		default:
		}
		status, _, err := call(context.Background(), "GET", base+"/health", "", nil)
		if err == nil && status != 200 {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	return base
}

// ask makes a request that has to be answered well.
func ask(t *testing.T, method, target string, body io.Reader) []byte {
	t.Helper()
	status, b, err := call(context.Background(), method, target, "", body)
	if err != nil || status/100 != 2 {
		t.Fatalf("%s %s: %d %v %.500s", method, target, status, err, b)
	}
	return b
}

// points are the values of lines of JSON, each as text, sorted.
func points(t *testing.T, lines string) (out []string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var s struct {
			Metric     map[string]string
			Values     []any
			Timestamps []int64
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for i, v := range s.Values {
			out = append(out, fmt.Sprint(s.Metric, s.Timestamps[i], " ", v))
		}
	}
	slices.Sort(out)
	return out
}

// TestVictoriaMetrics moves a network over from VictoriaMetrics, and another one
// to it, and asks both the same questions.
func TestVictoriaMetrics(t *testing.T) {
	t.Parallel()
	vm := victoria(t)
	var lines strings.Builder
	for i := range 300 {
		at := 1_700_000_000_000 + int64(i)*600_000
		for st := range 3 {
			fmt.Fprintf(&lines, "water,station=s%d,place=b\u1ebfn\\ \u0111\u00f2 level_meters=%.3f,temperature_c=%.1f %d\n", st, 1+math.Sin(float64(i)/9+float64(st)), 20+float64(i%50)/10, at)
		}
	}
	ask(t, "POST", vm+"/write?precision=ms", strings.NewReader(lines.String()))
	odd := `{"metric":{"__name__":"odd_meters","station":"s0"},"values":["Infinity","-Infinity",-0.5,1e-30,123456789012],"timestamps":[1700000000000,1700000600000,1700001200000,1700001800000,1700002400000]}`
	ask(t, "POST", vm+"/api/v1/import", strings.NewReader(odd))
	twice := `{"metric":{"__name__":"twice_meters","station":"s0"},"values":[1,2,1.5],"timestamps":[1700000000000,1700000000000,1700000000000]}`
	ask(t, "POST", vm+"/api/v1/import", strings.NewReader(twice))
	ask(t, "GET", vm+"/internal/force_flush", nil)

	s := start(t, t.TempDir(), "--dev", "--mqtt", "off")
	theirs := ask(t, "GET", vm+"/api/v1/export?max_rows_per_line=100&match[]="+url.QueryEscape(`{__name__!=""}`), nil)
	cmd := exec.Command(quantracBinary(t), "import", "--http", s.http, "--format", "victoriametrics", "-")
	cmd.Stdin = bytes.NewReader(theirs)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "905 rows, 1806 values: 1806 new, 0 known already; 2 values beaten") {
		t.Fatalf("import: %v\n%s", err, out)
	}
	want := slices.DeleteFunc(points(t, string(theirs)), func(p string) bool {
		return strings.Contains(p, "twice_meters") && !strings.HasSuffix(p, " 2")
	})
	if got := points(t, export(t, s, "--format", "victoriametrics")); !slices.Equal(got, want) {
		t.Errorf("%d values by Quantrac, %d by VictoriaMetrics, or others", len(got), len(want))
	}
	sameAnswers(t, s.http, vm)

	// And back, into an empty one.
	back := victoria(t)
	ask(t, "POST", back+"/api/v1/import", strings.NewReader(export(t, s, "--format", "victoriametrics")))
	ask(t, "GET", back+"/internal/force_flush", nil)
	if got := points(t, string(ask(t, "GET", back+"/api/v1/export?match[]="+url.QueryEscape(`{__name__!=""}`), nil))); !slices.Equal(got, want) {
		t.Errorf("%d values have come back, want %d, or others", len(got), len(want))
	}
	sameAnswers(t, s.http, back)
}

// sameAnswers asks two services what they mean alike.
func sameAnswers(t *testing.T, a, b string) {
	t.Helper()
	for _, expr := range []string{
		"max_over_time(water_level_meters[1h])", "min_over_time(water_temperature_c[1h])", "count_over_time(water_level_meters[1d])",
		"last_over_time(water_level_meters[20m])", "max by (station) (last_over_time(water_temperature_c[20m]))", `last_over_time(odd_meters{station="s0"}[20m])`,
		"last_over_time(twice_meters[20m])",
	} {
		q := "/api/v1/query_range?nocache=1&start=1700000000&end=1700180000&step=3600&query=" + url.QueryEscape(expr)
		got, want := rangeOf(t, a+q), rangeOf(t, b+q)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %d points and %d, or others: %.300q, %.300q", expr, len(got), len(want), got, want)
		}
	}
}

func rangeOf(t *testing.T, target string) (out []string) {
	t.Helper()
	var answer struct {
		Data struct{ Result []sample }
	}
	if err := json.Unmarshal(ask(t, http.MethodGet, target, nil), &answer); err != nil {
		t.Fatal(err)
	}
	for _, s := range answer.Data.Result {
		delete(s.Metric, "__name__") // last_over_time keeps it in one and not in the other
		for _, v := range s.Values {
			out = append(out, fmt.Sprint(s.Metric, v))
		}
	}
	slices.Sort(out)
	return out
}
