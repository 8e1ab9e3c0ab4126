package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"quantrac"
	"quantrac/internal/exchange"
	"quantrac/internal/shared"
)

// network writes made-up series as JSON lines, sorted: n values of each of five
// series of each station, in rows every ten minutes, some odd.
func network(t *testing.T, stations, n int, odd bool) string {
	t.Helper()
	rnd := rand.New(rand.NewPCG(4, 2))
	var buf bytes.Buffer
	w, err := exchange.NewWriter(&buf, exchange.JSONLines, exchange.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for k := range 5 {
		for st := range stations {
			s := exchange.Stretch{Labels: quantrac.NewLabels(quantrac.LabelMetric, fmt.Sprint("p", k, "_meters"), "station", fmt.Sprintf("s%03d", st), "place", `"a", b`)}
			for i := range n {
				r := quantrac.Revision{Value: float64(rnd.IntN(3000)) / 1000}
				at := quantrac.Millis(1_700_000_000_000 + int64(i)*600_000)
				if odd && rnd.IntN(3) == 0 {
					r.Value = math.Float64frombits(rnd.Uint64())
				}
				if odd && rnd.IntN(4) == 0 {
					r.Quality = []quantrac.Quality{quantrac.Good, quantrac.Suspect}[rnd.IntN(2)]
				}
				if odd && i%5 == 0 {
					r.Received = at + 1234
				}
				s.Times, s.Revisions = append(s.Times, at), append(s.Revisions, r)
			}
			if err := w.Write(&s); err != nil {
				t.Fatal(err)
			}
		}
	}
	return buf.String()
}

// export returns what the program exports.
func export(t *testing.T, s *service, args ...string) string {
	t.Helper()
	got := quantracRun(t, []string{"QUANTRAC_URL=" + s.http}, append([]string{"export"}, args...)...)
	got.says(t, 0)
	return got.stdout
}

// TestExchange: what is imported comes out again bit for bit, and by way of each
// format into another service too; a second time it changes nothing.
func TestExchange(t *testing.T) {
	t.Parallel()
	a := start(t, t.TempDir(), "--dev", "--mqtt", "off")
	want := network(t, 4, 300, true)
	path := file(t, "network.jsonl", want)
	for i, said := range []string{"6000 new, 0 known already", "0 new, 6000 known already"} {
		got := quantracRun(t, []string{"QUANTRAC_URL=" + a.http}, "import", path)
		got.says(t, 0)
		got.prints(t, said)
		if out := export(t, a, "--format", "jsonl"); out != want {
			t.Fatalf("import %d: what comes out is not what went in:\n%.2000s\nwant\n%.2000s", i, out, want)
		}
	}
	if got, err := a.query("/api/v1/query", `count(last_over_time({station=~"s.*"}[10d] @ 1700600000))`); err != nil || len(got) != 1 || got[0].Value[1] != "20" {
		t.Errorf("a query finds %v, %v; want 20 series", got, err)
	}
	for _, format := range []string{"csv", "parquet", "jsonl"} {
		out := filepath.Join(t.TempDir(), "x."+format)
		export(t, a, "--format", format, "--out", out)
		b := start(t, t.TempDir(), "--dev", "--mqtt", "off")
		quantracRun(t, []string{"QUANTRAC_URL=" + b.http}, "import", out).says(t, 0)
		if got := export(t, b, "--format", "jsonl"); got != want {
			t.Errorf("by %s: what comes out is not what went in:\n%.2000s\nwant\n%.2000s", format, got, want)
		}
		b.stop()
	}
	part := export(t, a, "--format", "csv", "--match", `p1_meters{station="s002"}`, "--match", `{station="s002",__name__=~"p[12].*"}`, "--start", "1700000600", "--end", "1700001200")
	if n := strings.Count(part, "\n"); n != 5 || strings.Count(part, ",s002,") != 4 {
		t.Errorf("two values of two series:\n%s", part)
	}
}

// TestExchangeState: an export can be of an earlier state, and of the series after
// one; that is how it goes on.
func TestExchangeState(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--mqtt", "off")
	a := s.nobody()
	line := func(station string, v int) string {
		return fmt.Sprintf(`{"metric":{"__name__":"m_meters","station":%q},"values":[%d],"timestamps":[1700000000000]}`, station, v)
	}
	a.want(200, "POST", "/api/data/import?format=jsonl", line("a", 1)+"\n"+line("b", 1)+"\n"+line("c", 1))
	before := a.want(200, "GET", "/api/data/export?format=jsonl", "")
	a.want(200, "POST", "/api/data/import?format=jsonl", line("b", 2)+"\n"+line("d", 2))
	commit := before.header.Get("Quantrac-Commit")
	if again := a.want(200, "GET", "/api/data/export?format=jsonl&commit="+commit, ""); string(again.body) != string(before.body) {
		t.Errorf("as of commit %s: %s, want %s", commit, again.body, before.body)
	}
	after := url.Values{"format": {"jsonl"}, "after": {`{"__name__":"m_meters","station":"a"}`}}
	rest := a.want(200, "GET", "/api/data/export?"+after.Encode(), "")
	if want := line("b", 2) + "\n" + line("c", 1) + "\n" + line("d", 2) + "\n"; string(rest.body) != want {
		t.Errorf("after a: %s, want %s", rest.body, want)
	}
	if n, names := rest.header.Get("Quantrac-Series"), rest.header.Get("Quantrac-Labels"); n != "3" || names != `["__name__","station"]` {
		t.Errorf("says %s series with %s", n, names)
	}
	a.want(400, "GET", "/api/data/export?format=jsonl&commit=999999", "")
	a.want(400, "GET", "/api/data/export?format=jsonl&after=x", "")
	a.want(400, "GET", "/api/data/export?format=victoriametrics&revisions=true", "")
}

// TestExchangeDocs runs the commands of docs/import.md.
func TestExchangeDocs(t *testing.T) {
	t.Parallel()
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, t.TempDir(), "--dev", "--mqtt", "off")
	quantracRun(t, []string{"QUANTRAC_URL=" + s.http}, "station", "import", filepath.Join(docs, "stations-sample.csv")).says(t, 0)
	now := time.Now().UTC().Add(-time.Hour).UnixMilli()
	s.nobody().want(200, "POST", "/api/data/import?format=jsonl", fmt.Sprintf(`{"metric":{"__name__":"water_level_meters","station":"tan_quoi"},"values":[1.25],"timestamps":[%d]}`, now))
	dir := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, "ngay_gio,muc_nuoc\n2026-11-01T00:00:00+07:00,1.25\n"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s.nobody().want(200, "POST", "/api/data/import?format=jsonl", `{"metric":{"__name__":"water_level_meters","station":"tan_quoi"},"values":[3.7,3.7],"timestamps":[1735689600000,1735693200000]}`)
	if open := s.nobody().want(200, "GET", "/api/alerting/warnings", ""); !strings.Contains(string(open.body), `"warnings":[]`) {
		t.Errorf("an import warns: %s", open.body)
	}
	if err := os.MkdirAll(filepath.Join(dir, "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old", "a.csv.gz"), packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	script := strings.Join(append(shellBlocks(t, filepath.Join(docs, "import.md"), "Values out"), shellBlocks(t, filepath.Join(docs, "import.md"), "Values in")...), "\n")
	cmd := exec.Command(shared.Tool(t, "bash"), "-euxo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "QUANTRAC_URL="+s.http, "PATH="+filepath.Dir(quantracBinary(t))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"stages.csv: 1 series, 1 values", "all.parquet: 1 series", "3 rows, 3 values: 0 new, 3 known already", "1 rows, 1 values: 1 new"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("nothing of %q in\n%s", want, out)
		}
	}
}

// TestExchangePacked: packed files are seen by their bytes.
func TestExchangePacked(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--mqtt", "off")
	text := []byte(network(t, 1, 10, false))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"QUANTRAC_URL=" + s.http}
	got := quantracRun(t, env, "import", file(t, "a.jsonl.gz", packed.String()))
	got.says(t, 0)
	got.prints(t, "50 new")
	got = quantracRun(t, env, "import", "--format", "jsonl", file(t, "a", string(enc.EncodeAll(text, nil))))
	got.says(t, 0)
	got.prints(t, "50 known already")
	answer := s.must("POST", "/api/data/import?format=jsonl", "application/jsonl", packed.String(), http.StatusOK)
	if !strings.Contains(string(answer), `"redelivered":50`) {
		t.Errorf("by HTTP: %s", answer)
	}
}

// TestImportFaults: bad lines are told, the others are taken; with --strict
// nothing is.
func TestImportFaults(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--mqtt", "off")
	env := []string{"QUANTRAC_URL=" + s.http}
	path := file(t, "a.csv", "time_ms,metric,value,station\n1700000000000,m,1,a\n1700000000000,m,one,b\n1700000000000,m,2,c\n9900000000000,m,3,c\n")
	got := quantracRun(t, env, "import", "--strict", path)
	got.says(t, 1, `line 3, value: "one" is no number`, "nothing was imported")
	if out := export(t, s, "--format", "jsonl"); out != "" {
		t.Fatalf("stored all the same: %s", out)
	}
	got = quantracRun(t, env, "import", path)
	got.says(t, 1, `a.csv: line 3, value: "one" is no number`, `refused: {station="c"} at 2283-09-20T08:00:00.000Z: time lies more than a year ahead`, "1 lines could not be taken", "refused 1 rows")
	got.prints(t, "2 rows, 2 values")
	if n := strings.Count(export(t, s, "--format", "jsonl"), "\n"); n != 2 {
		t.Errorf("%d series stored, want 2", n)
	}
	quantracRun(t, env, "import", "--strict", file(t, "b.csv", "time_ms,metric,value,station\n1700000600000,m,1,a\n9900000000000,m,3,a\n")).says(t, 1, "time lies more than a year ahead")
	if out := export(t, s, "--format", "csv", "--start", "1700000600"); strings.Count(out, "\n") != 1 {
		t.Errorf("stored all the same: %s", out)
	}
	quantracRun(t, env, "import", file(t, "c.csv", "when;what\n")).says(t, 1, "no column time or time_ms, metric (or one metric for all), value among \"when;what\"")
	quantracRun(t, env, "import", "--dry-run", path).says(t, 1, "1 lines could not be taken")
	quantracRun(t, env, "import", file(t, "d.txt", "")).says(t, 1, "name the --format")
	s.must("POST", "/api/data/import?format=jsonl", "application/jsonl", `{"metric":{"__name__":"m"},"values":[1],"timestamps":["x"]}`, http.StatusBadRequest)
	s.must("GET", "/api/data/export?format=xml", "", "", http.StatusBadRequest)
	s.must("GET", "/api/data/export?format=csv&match[]={", "", "", http.StatusBadRequest)
}

// TestExchangeAccess: who may see some stations takes out those, and who may not
// write brings nothing in.
func TestExchangeAccess(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--mqtt", "off")
	quantracRun(t, []string{"QUANTRAC_URL=" + s.http}, "import", file(t, "a.jsonl", network(t, 3, 2, false))).says(t, 0)
	token := func(role string) string {
		var made struct{ Secret string }
		s.nobody().want(200, "POST", "/api/auth/tokens", fmt.Sprintf(`{"name": %q, "role": %q, "stations": ["s001"]}`, role, role)).json(t, &made)
		return made.Secret
	}
	viewer := s.bearer(token("viewer"))
	lines := strings.Split(strings.TrimSpace(string(viewer.want(200, "GET", "/api/data/export?format=jsonl", "").body)), "\n")
	for _, line := range lines {
		if !strings.Contains(line, `"station":"s001"`) {
			t.Errorf("sees %s", line)
		}
	}
	if len(lines) != 5 {
		t.Errorf("%d series, want 5", len(lines))
	}
	one := `{"metric":{"__name__":"m","station":"s001"},"values":[1],"timestamps":[1700000000000]}`
	viewer.want(http.StatusForbidden, "POST", "/api/data/import?format=jsonl", one)
	device := s.bearer(token("device"))
	device.want(http.StatusUnauthorized, "GET", "/api/data/export?format=jsonl", "")
	device.want(http.StatusForbidden, "POST", "/api/data/import?format=jsonl", one)
	technician := s.bearer(token("technician"))
	technician.want(200, "POST", "/api/data/import?format=jsonl", one)
	refused := technician.want(http.StatusBadRequest, "POST", "/api/data/import?format=jsonl", strings.ReplaceAll(one, "s001", "s002"))
	if !strings.Contains(string(refused.body), `station \"s002\" is not among those`) {
		t.Errorf("refused by %s", refused.body)
	}
}

// TestImportKilled kills first the import and then the service; in the end every
// value is there once.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	httpPort, mqttPort := freePort(t), freePort(t)
	s := launch(t, dir, httpPort, mqttPort, "--dev")
	s.waitReady()
	want := network(t, 30, 4000, false) // 600,000 values in fifteen batches
	path := file(t, "network.jsonl", want)
	note := path + ".import"
	noted := func() int64 {
		var state struct{ Rows int64 }
		text, err := os.ReadFile(note)
		if err != nil || json.Unmarshal(text, &state) != nil {
			return 0
		}
		return state.Rows
	}
	// beyond waits until an import has noted more rows, or has come to its end all
	// the same: then there is nothing to kill, and the rest holds too.
	beyond := func(rows int64, of *service) {
		eventually(t, "import under way", func() error {
			select {
			case <-of.done:
				return nil
			default:
			}
			if n := noted(); n <= rows {
				return fmt.Errorf("%d rows noted", n)
			}
			return nil
		})
	}
	first := spawn(t, "import", "--http", s.http, path)
	beyond(0, first)
	first.kill()
	rows := noted()
	second := spawn(t, "import", "--http", s.http, path)
	beyond(rows, second)
	s.kill()
	s = launch(t, dir, httpPort, mqttPort, "--dev")
	if err := second.ended(); err != nil {
		t.Fatalf("the second import: %v\n%s", err, second.log)
	}
	if said := fmt.Sprintf("%d rows had been imported before", rows); rows > 0 && !strings.Contains(second.log.String(), said) {
		t.Errorf("said\n%s\nwant %q", second.log, said)
	}
	if _, err := os.Stat(note); err == nil {
		t.Error("the note of how far it had come is still there")
	}
	s.waitReady()
	if got := quantracRun(t, nil, "export", "--http", s.http, "--format", "jsonl"); !slices.Equal(points(t, got.stdout), points(t, want)) {
		t.Errorf("what comes out is not what went in: %d bytes, want %d\n%s", len(got.stdout), len(want), got.stderr)
	}
	revisions := quantracRun(t, nil, "export", "--http", s.http, "--format", "csv", "--revisions").stdout
	if n := strings.Count(revisions, "\n") - 1; n != 600_000 {
		t.Errorf("%d revisions, want one a value", n)
	}
}
