package tsdbtest

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"quantrac"
)

// The script language. A directive, its input, "----", and the answer; run the
// oracle's test with -rewrite to write the answers anew, and read the diff.
//
//	clock 13:00 | +10m | -10m       sets the centre's clock (03:00 at the start); a change
//	                                moves it on by a second unless it was set just before
//	append                          rows of devices, one a line
//	admit installed=TIME            the same through quantrac.CheckTime, as the collector does
//	correct author= reason= [id=]   rows of the human layer
//	delete from= to= author= reason= [id=]    a selector in the input
//	revoke id= author= reason=
//	forecast model= issue=          rows of a model's run
//	repeat n= step= [by=]           the row of the input n times, each step later and by more
//	flush, compact, reopen, crash
//	metadata station= from= key=value…        what the registry will say of a station
//	select from= to= [asof=] [commit=: to the end of its second] [quality=] [device] [max-series=] [max-samples=] [as=(…)] [join=TIME] [count] [reuse]
//	fold op= first=TIME step= width= n= [asof=] [commit=] [quality=] [device] [max-series=] [as=(…)]
//	day at=TIME                     select over the civil day at +07:00 that holds the time
//	instant at=TIME [interval=]     the value a query sees then: the last until StaleAfter
//	latest [as=(…)]
//	revisions at=TIME [as=(…)]      of one series
//	series, names, values name= [limit=]      [from=] [to=] [as=(…)]
//
// Rows, times and values are those of parseRow; selectors are PromQL's.

// Modes are what RunScripts does after every change of a script: a script's
// answers must not depend on it.
var modes = []string{"plain", "flush", "compact", "reopen", "crash", "mixed"}

// RunScripts runs every script of testdata on a store, once for each mode.
func RunScripts(t *testing.T, open func(t *testing.T) Subject) {
	_, file, _, _ := runtime.Caller(0)
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(file), "testdata", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts beside %s: %v", file, err)
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			for _, p := range paths {
				t.Run(strings.TrimSuffix(filepath.Base(p), ".txt"), func(t *testing.T) {
					RunScript(t, p, mode, open(t))
				})
			}
		})
	}
}

// RunScript runs one script.
func RunScript(t *testing.T, path, mode string, s Subject) {
	r := newRunner(mode, s)
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	defer func() { r.engine.Close() }()
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		out, err := r.answer(t, d)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return out
	})
}

// answer runs a directive; an error with a kind is an answer.
func (r *runner) answer(t testing.TB, d *datadriven.TestData) (string, error) {
	out, err := r.run(t, d)
	if kind := quantrac.KindOf(err); kind != quantrac.KindNone {
		return fmt.Sprintf("error: %v\n", kind), nil
	}
	return out, err
}

func newRunner(mode string, s Subject) *runner {
	r := &runner{mode: mode, subject: s, clock: &Clock{}, firsts: map[quantrac.Millis]uint64{}, set: true}
	start, _ := parseMillis("03:00")
	r.clock.Set(start)
	return r
}

type runner struct {
	mode    string
	changes int
	last    quantrac.Millis            // time of the last commit
	firsts  map[quantrac.Millis]uint64 // of each second the first commit that changed something
	made    []quantrac.Commit
	subject Subject
	engine  Engine
	clock   *Clock
	set     bool // the clock was set since the last change
	meta    []metadata
}

// metadata is what the registry says of a station from an instant on.
type metadata struct {
	station string
	from    quantrac.Millis
	labels  quantrac.Labels
}

// registryKeys are the names the scripts' registry joins.
var registryKeys = []string{"commune", "district", "operator"}

func (r *runner) open() error {
	e, err := r.subject.Open(Options{Clock: r.clock, Reserved: func(name string) bool {
		for _, k := range registryKeys {
			if k == name {
				return true
			}
		}
		return false
	}})
	if err == nil {
		r.engine = e
	}
	return err
}

func (r *runner) reopen() error {
	if err := r.engine.Close(); err != nil {
		return err
	}
	return r.open()
}

func (r *runner) crash() error {
	r.subject.Crash()
	return r.open()
}

// between does what the mode wants after a change.
func (r *runner) between(ctx context.Context) error {
	mode := r.mode
	if mode == "mixed" {
		mode = [...]string{"plain", "flush", "crash", "flush", "compact", "plain", "reopen"}[r.changes%7]
	}
	r.changes++
	if r.clock.Now() < r.last && mode != "flush" {
		return nil // no store starts with such a clock, which clock_back.txt tests
	}
	switch mode {
	case "flush":
		return r.engine.Flush(ctx)
	case "compact":
		if err := r.engine.Flush(ctx); err != nil {
			return err
		}
		return r.engine.Compact(ctx)
	case "reopen":
		return r.reopen()
	case "crash":
		return r.crash()
	}
	return nil
}

func (r *runner) run(t testing.TB, d *datadriven.TestData) (string, error) {
	ctx := context.Background()
	if a, ok := d.Arg("as"); ok {
		p := quantrac.Principal{Name: "script", Role: quantrac.RoleViewer, Stations: []string{}}
		for _, v := range a.Vals {
			if v != "" {
				p.Stations = append(p.Stations, v)
			}
		}
		ctx = quantrac.WithPrincipal(ctx, p)
	}
	a := args{d}
	switch d.Cmd {
	case "clock":
		return r.setClock(d)
	case "append", "admit", "correct", "delete", "revoke", "forecast", "repeat":
		if !r.set && d.Cmd != "admit" { // what is said of times hangs on the clock
			r.clock.Set(r.clock.Now().Add(time.Second))
		}
		r.set = false
		out, err := r.change(ctx, a)
		if err == nil {
			if berr := r.between(ctx); berr != nil {
				t.Fatalf("%s after %q: %v", r.mode, d.Cmd, berr)
			}
		}
		return out, err
	case "flush":
		return "", r.engine.Flush(ctx)
	case "compact":
		return "", r.engine.Compact(ctx)
	case "reopen":
		return "", r.reopen()
	case "crash":
		return "", r.crash()
	case "metadata":
		return "", r.addMetadata(a)
	}
	return r.read(ctx, a)
}

func (r *runner) setClock(d *datadriven.TestData) (string, error) {
	text := d.CmdArgs[0].Key
	r.set = true
	if text[0] == '+' || text[0] == '-' {
		by, err := time.ParseDuration(text)
		if err != nil {
			return "", err
		}
		r.clock.Set(r.clock.Now().Add(by))
	} else {
		t, err := parseMillis(text)
		if err != nil {
			return "", err
		}
		r.clock.Set(t)
	}
	return formatTime(r.clock.Now()) + "\n", nil
}

// args reads the arguments of a directive.
type args struct{ *datadriven.TestData }

func (a args) text(key string) string {
	v, ok := a.Arg(key)
	if !ok || len(v.Vals) == 0 {
		return ""
	}
	return strings.Join(v.Vals, ",")
}

func (a args) number(key string) (int, error) {
	if !a.HasArg(key) {
		return 0, nil
	}
	return strconv.Atoi(a.text(key))
}

func (a args) millis(key string, missing quantrac.Millis) (quantrac.Millis, error) {
	if !a.HasArg(key) {
		return missing, nil
	}
	return parseMillis(a.text(key))
}

func (a args) span() (from, to quantrac.Millis, err error) {
	if from, err = a.millis("from", quantrac.MinMillis); err != nil {
		return 0, 0, err
	}
	to, err = a.millis("to", quantrac.MaxMillis)
	return from, to, err
}
