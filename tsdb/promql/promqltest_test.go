package promql

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
	"quantrac/tsdb/tsdbtest"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// Prometheus' own acceptance scripts run on our storage: written by Append and
// read by the querier or by the native paths, on every store and by both kinds of
// lookback. The few
// commands that cannot pass stand in testdata/promqltest_excluded.txt with the
// reason; one that stands there and passes fails the test.

// scriptStore is a store under the acceptance scripts, as promqltest wants it.
type scriptStore struct {
	tsdbtest.Engine
	byInterval bool
}

func (s *scriptStore) Querier(mint, maxt int64) (storage.Querier, error) {
	return s.view(s.byInterval).Querier(mint, maxt)
}

func (s *scriptStore) view(byInterval bool) *view {
	v := &view{
		store: s.Engine, reg: noRegistry{}, byInterval: byInterval,
		lookback:  quantrac.Millis(lookback.Milliseconds()),
		maxSeries: 1e9, maxSamples: promqltest.DefaultMaxSamplesPerQuery,
	}
	if !byInterval {
		v.lookback = quantrac.Millis(quantrac.DefaultStale.Milliseconds())
	}
	return v
}

func (s *scriptStore) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return &scriptAppender{ctx: ctx, store: s.Engine}
}

func (s *scriptStore) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) {
	return nil, errors.New("no chunks here")
}

func (s *scriptStore) Appender(context.Context) storage.Appender { panic("the scripts use AppenderV2") }
func (s *scriptStore) StartTime() (int64, error)                 { return 0, nil }

// scriptAppender makes a batch of one load command. What the store cannot keep
// is left out: histograms, and samples without a metric name.
type scriptAppender struct {
	ctx   context.Context
	store tsdbtest.Engine
	batch quantrac.Batch
}

func (a *scriptAppender) Append(_ storage.SeriesRef, ls labels.Labels, _, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ storage.AppendV2Options) (storage.SeriesRef, error) {
	id := root(ls)
	if h == nil && fh == nil && id.Metric() != "" {
		a.batch.Rows = append(a.batch.Rows, quantrac.Row{
			Group: id.Without(quantrac.LabelMetric), Time: quantrac.Millis(t),
			Cells: []quantrac.Cell{{Property: id.Metric(), Value: v}},
		})
	}
	return 0, nil
}

// Commit appends what was gathered, in several batches: the oracle compares
// each row of one with every other.
func (a *scriptAppender) Commit() error {
	for rows := range slices.Chunk(a.batch.Rows, 200) {
		rc, err := a.store.Append(a.ctx, &quantrac.Batch{Rows: rows})
		if err != nil {
			return err
		}
		if rc.Stored != len(rows) {
			return fmt.Errorf("stored %d of %d samples", rc.Stored, len(rows))
		}
	}
	return nil
}

func (a *scriptAppender) Rollback() error { return nil }

// scriptEngine is the production engine with what the scripts expect switched
// on. Expressions with anchored and smoothed get a lookback, as the API asks
// its users to give one.
type scriptEngine struct{ *promql.Engine }

func newScriptEngine() scriptEngine {
	o := engineOptions(Options{MaxSamples: promqltest.DefaultMaxSamplesPerQuery, Timeout: time.Minute})
	o.EnableDelayedNameRemoval = true
	return scriptEngine{promql.NewEngine(o)}
}

func (e scriptEngine) adapt(q storage.Queryable, expr string) (storage.Queryable, promql.QueryOpts) {
	if strings.Contains(expr, "anchored") || strings.Contains(expr, "smoothed") {
		return q.(*scriptStore).view(false), promql.NewPrometheusQueryOpts(false, quantrac.DefaultStale, nil)
	}
	return q, nil
}

func (e scriptEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, _ promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	q, opts := e.adapt(q, qs)
	return e.Engine.NewInstantQuery(ctx, q, opts, qs, ts)
}

func (e scriptEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, _ promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	q, opts := e.adapt(q, qs)
	return e.Engine.NewRangeQuery(ctx, q, opts, qs, start, end, interval)
}

// script is one file of commands.
type script struct {
	name     string
	lines    []string
	commands []command
}

// command is one command of a script: lines from its first up to end, counted
// from 1.
type command struct {
	kind      string // load, eval, clear
	line, end int
	expr      string
}

var (
	commandStart = regexp.MustCompile(`^(clear)$|^(load)(?:_with_nhcb)?\s|^(eval)(?:_\w+)?\s+(?:instant|range)\s`)
	evalInstant  = regexp.MustCompile(`^eval(?:_\w+)?\s+instant\s+(?:at\s+\S+?)?\s+(.+)$`)
	evalRange    = regexp.MustCompile(`^eval(?:_\w+)?\s+range\s+from\s+.+?\s+to\s+.+?\s+step\s+\S+?\s+(.+)$`)
)

// readScripts finds the scripts in Prometheus' module.
func readScripts(t testing.TB) []script {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/prometheus/prometheus/promql/promqltest").Output()
	if err != nil {
		t.Fatalf("where Prometheus' scripts are: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "testdata")
	files, err := fs.Glob(os.DirFS(dir), "*.test")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d scripts in %s: %v", len(files), dir, err)
	}
	var scripts []script
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, splitScript(f, string(text)))
	}
	return scripts
}

func splitScript(name, text string) script {
	s := script{name: name, lines: strings.Split(text, "\n")}
	open := false
	for i, l := range s.lines {
		l = strings.TrimSpace(l)
		if l == "" || l[0] == '#' {
			open = false
			continue
		}
		if m := commandStart.FindStringSubmatch(l); m != nil {
			c := command{kind: m[1] + m[2] + m[3], line: i + 1}
			if e := evalInstant.FindStringSubmatch(l); e != nil {
				c.expr = e[1]
			} else if e := evalRange.FindStringSubmatch(l); e != nil {
				c.expr = e[1]
			}
			s.commands = append(s.commands, c)
			open = true
		}
		if open {
			s.commands[len(s.commands)-1].end = i + 1
		}
	}
	return s
}

// text returns the script with only those evaluations that keep says, all else
// on its old line.
func (s *script) text(keep func(command) bool) string {
	lines := slices.Clone(s.lines)
	for _, c := range s.commands {
		if c.kind == "eval" && !keep(c) {
			for i := c.line; i <= c.end; i++ {
				lines[i-1] = ""
			}
		}
	}
	return strings.Join(lines, "\n")
}

// exclusion says why a command cannot pass.
type exclusion struct {
	reason, expr string
}

const exclusionFile = "testdata/promqltest_excluded.txt"

// readExclusions reads the list: "= reason: text" defines a reason, "file:line
// reason expression" is a command.
func readExclusions(t testing.TB) map[string]exclusion {
	text, err := os.ReadFile(exclusionFile)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	out := map[string]exclusion{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		l := lines.Text()
		switch {
		case l == "" || l[0] == '#':
		case strings.HasPrefix(l, "= "):
			name, why, _ := strings.Cut(l[2:], ": ")
			if why == "" {
				t.Fatalf("%s:%d: a reason without words", exclusionFile, n)
			}
			reasons[name] = true
		default:
			f := strings.SplitN(l, " ", 3)
			if len(f) != 3 || !reasons[f[1]] {
				t.Fatalf("%s:%d: want 'file:line reason expression' with a reason defined above, have %q", exclusionFile, n, l)
			}
			out[f[0]] = exclusion{f[1], f[2]}
		}
	}
	return out
}

func key(file string, c command) string { return fmt.Sprintf("%s:%d", file, c.line) }

// eachStore runs f for every store and both kinds of lookback, with native paths
// and without.
func eachStore(t *testing.T, f func(t *testing.T, open func(testing.TB) storage.Storage, engine promql.QueryEngine)) {
	native := nativeEngine{parser: engineOptions(Options{}).Parser, native: &atomic.Int64{}}
	for name, open := range testStores {
		for _, byInterval := range []bool{false, true} {
			mode := "lookback"
			var engine promql.QueryEngine = promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
			if byInterval {
				mode, engine = "interval", newScriptEngine()
			}
			openScript := func(t testing.TB) storage.Storage {
				return &scriptStore{open(t, quantrac.NewManualClock(testNow)), byInterval}
			}
			t.Run(name+"-"+mode, func(t *testing.T) { f(t, openScript, engine) })
			native.QueryEngine = engine
			t.Run(name+"-"+mode+"-native", func(t *testing.T) { f(t, openScript, native) })
		}
	}
	t.Logf("%d evaluations on native paths", native.native.Load())
}

func TestPromqltest(t *testing.T) {
	scripts, excluded := readScripts(t), readExclusions(t)
	unused := map[string]bool{}
	for k := range excluded {
		unused[k] = true
	}
	evals := 0
	for _, s := range scripts {
		for _, c := range s.commands {
			if c.kind != "eval" {
				continue
			}
			evals++
			if e, ok := excluded[key(s.name, c)]; ok {
				delete(unused, key(s.name, c))
				if e.expr != c.expr {
					t.Errorf("%s excludes %s for %q, but the script has %q there", exclusionFile, key(s.name, c), e.expr, c.expr)
				}
			}
		}
	}
	for k := range unused {
		t.Errorf("%s excludes %s, where no command is", exclusionFile, k)
	}
	t.Logf("%d evaluations in %d scripts, %d excluded", evals, len(scripts), len(excluded))
	if exprs, err := promqltest.GetBuiltInExprs(); err != nil || len(exprs) != evals {
		t.Errorf("the scripts were split into %d evaluations, promqltest knows %d (%v)", evals, len(exprs), err)
	}
	eachStore(t, func(t *testing.T, open func(testing.TB) storage.Storage, engine promql.QueryEngine) {
		for _, s := range scripts {
			t.Run(s.name, func(t *testing.T) {
				text := s.text(func(c command) bool { _, ok := excluded[key(s.name, c)]; return !ok })
				promqltest.RunTestWithStorage(t, text, engine, open)
			})
		}
	})
}

// envExcluded makes this binary run the excluded commands, which are meant to
// fail; its other values are for who updates Prometheus.
const envExcluded = "QUANTRAC_PROMQLTEST_EXCLUDED"

var verdict = regexp.MustCompile(`--- (PASS|FAIL): TestPromqltestExcludedOnes/([^/]+)/([^/]+)/line_(\d+)/`)

// runExcluded runs them in another process, because a test cannot expect a
// subtest to fail, and returns the verdicts by store and command.
func runExcluded(t *testing.T, which string) map[string]map[string]bool {
	cmd := exec.Command(os.Args[0], "-test.run=^TestPromqltestExcludedOnes$", "-test.v")
	cmd.Env = append(os.Environ(), envExcluded+"="+which)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	passed := map[string]map[string]bool{}
	for _, m := range verdict.FindAllStringSubmatch(string(out), -1) {
		if passed[m[2]] == nil {
			passed[m[2]] = map[string]bool{}
		}
		passed[m[2]][m[3]+":"+m[4]] = m[1] == "PASS"
	}
	return passed
}

func TestPromqltestExcluded(t *testing.T) {
	excluded := readExclusions(t)
	stores := runExcluded(t, "excluded")
	if len(stores) != 4*len(testStores) {
		t.Errorf("verdicts from %d runs, want %d", len(stores), 4*len(testStores))
	}
	for store, verdicts := range stores {
		if len(verdicts) != len(excluded) {
			t.Errorf("%s: %d verdicts on %d excluded commands", store, len(verdicts), len(excluded))
		}
		for k, passed := range verdicts {
			if passed {
				t.Errorf("%s: %s passes; take it off %s", store, k, exclusionFile)
			}
		}
	}
}

func TestPromqltestExcludedOnes(t *testing.T) {
	if os.Getenv(envExcluded) == "" {
		t.Skip("run by TestPromqltestExcluded")
	}
	which := os.Getenv(envExcluded)
	excluded, scripts := readExclusions(t), readScripts(t)
	run := func(t *testing.T, open func(testing.TB) storage.Storage, engine promql.QueryEngine) {
		for _, s := range scripts {
			t.Run(s.name, func(t *testing.T) {
				text := s.text(func(c command) bool { _, ok := excluded[key(s.name, c)]; return ok || which != "excluded" })
				promqltest.RunTestWithStorage(t, text, engine, open)
			})
		}
	}
	if which == "excluded" {
		eachStore(t, run)
		return
	}
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	for _, of := range deprivations {
		t.Run(of, func(t *testing.T) {
			run(t, func(t testing.TB) storage.Storage { return deprived{promqltest.NewBuiltinTestStorage(t), of} }, engine)
		})
	}
}

// deprived is Prometheus' own storage, kept from storing one kind of thing.
type deprived struct {
	storage.Storage
	of string // a reason of the exclusion file
}

func (d deprived) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return deprivedAppender{d.Storage.AppenderV2(ctx), d.of}
}

type deprivedAppender struct {
	storage.AppenderV2
	of string
}

func (a deprivedAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AppendV2Options) (storage.SeriesRef, error) {
	switch a.of {
	case "histogram":
		if h != nil || fh != nil {
			return 0, nil
		}
	case "start":
		st = 0
	case "underscore":
		b := labels.NewBuilder(ls)
		ls.Range(func(l labels.Label) {
			if strings.HasPrefix(l.Name, "__") && l.Name != quantrac.LabelMetric {
				b.Del(l.Name).Set("exported_"+l.Name, l.Value)
			}
		})
		ls = b.Labels()
	}
	return a.AppenderV2.Append(ref, ls, st, t, v, h, fh, o)
}

// TestPromqltestReasons proves every exclusion's reason: Prometheus' own
// storage fails at exactly the same commands once it is kept from storing what
// ours does not. It prints the list, for who updates Prometheus.
func TestPromqltestReasons(t *testing.T) {
	if os.Getenv(envExcluded) != "reasons" {
		t.Skip("set " + envExcluded + "=reasons to compare with Prometheus' own storage")
	}
	excluded := readExclusions(t)
	verdicts := runExcluded(t, "deprived")
	for _, s := range readScripts(t) {
		for _, c := range s.commands {
			reason := ""
			for _, of := range deprivations {
				if passed, ran := verdicts[of][key(s.name, c)]; ran && !passed {
					reason = of
					break
				}
			}
			if reason != "" {
				fmt.Println(key(s.name, c), reason, c.expr)
			}
			if have := excluded[key(s.name, c)].reason; have != reason {
				t.Errorf("%s is excluded for reason %q, found %q", key(s.name, c), have, reason)
			}
		}
	}
}

// deprivations are the reasons, the strongest first.
var deprivations = []string{"histogram", "start", "underscore"}
