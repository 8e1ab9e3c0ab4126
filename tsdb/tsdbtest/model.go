package tsdbtest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Model runs a random script, made of the seed, on a store and on the oracle,
// and wants the same answers. A script that shows a difference is made shorter
// as far as the difference stays, and printed: put it into testdata once the
// store is right.
func Model(t *testing.T, seed uint64, steps int, open func() Subject) {
	script := newScript(seed, steps)
	diff := compare(t, script, open())
	if diff == "" {
		return
	}
	script = shrink(script, func(s []string) bool { return compare(t, s, open()) != "" })
	t.Fatalf("seed %d: %s\nshortened to %d directives:\n\n%s", seed, compare(t, script, open()), len(script), strings.Join(script, "\n\n"))
}

// compare runs a script on a subject and the oracle and tells the first
// difference.
func compare(t *testing.T, script []string, s Subject) string {
	a, b := newRunner("plain", NewOracle()), newRunner("plain", s)
	for _, r := range []*runner{a, b} {
		if err := r.open(); err != nil {
			return fmt.Sprintf("opening: %v", err)
		}
	}
	defer func() { _ = b.engine.Close() }() // a difference is what counts
	for i, directive := range script {
		want, err := a.answer(t, parseDirective(t, directive))
		if err != nil {
			t.Fatalf("oracle, %q: %v", directive, err)
		}
		got, err := b.answer(t, parseDirective(t, directive))
		if err != nil {
			return fmt.Sprintf("directive %d, %q: %v", i, directive, err)
		}
		if got != want {
			return fmt.Sprintf("directive %d, %q:\ngot:\n%swant:\n%s", i, directive, got, want)
		}
	}
	return ""
}

func parseDirective(t testing.TB, directive string) *datadriven.TestData {
	line, input, _ := strings.Cut(directive, "\n")
	cmd, args, err := datadriven.ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	return &datadriven.TestData{Cmd: cmd, CmdArgs: args, Input: input}
}

// shrink leaves out directives, many at a time and then one by one, while what
// is left still fails.
func shrink(script []string, fails func([]string) bool) []string {
	for n := len(script) / 2; n > 0; n /= 2 {
		for at := 0; at+n <= len(script); {
			shorter := append(append([]string(nil), script[:at]...), script[at+n:]...)
			if fails(shorter) {
				script = shorter
			} else {
				at += n
			}
		}
	}
	return script
}

// generator makes random directives over few series, times and values, so that
// they meet.
type generator struct {
	*rand.Rand
	out     []string
	commits int // at least so many may have been made
}

func newScript(seed uint64, steps int) []string {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 42))}
	g.say("clock 04T00:00")
	for len(g.out) < steps {
		if g.IntN(3) > 0 {
			g.change()
		} else {
			g.read()
		}
	}
	g.readAll()
	return g.out
}

func (g *generator) say(format string, args ...any) {
	g.out = append(g.out, fmt.Sprintf(format, args...))
}

func pick[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// time is one of few, in three partitions and on either side of the present.
func (g *generator) time() string {
	switch g.IntN(12) {
	case 0:
		return pick(g, "2026-09-01T00:00:00Z", "2026-09-01T00:10:00Z", "2020-02-02T00:00:00Z")
	case 1:
		return pick(g, "2026-10-31T16:59:59.999Z", "2026-10-31T17:00:00Z", "2026-11-12T16:59:59.999Z")
	case 2:
		return fmt.Sprintf("%02dT%02d:%02d", 4+g.IntN(3), g.IntN(24), pick(g, 0, 5, 10, 11))
	}
	return fmt.Sprintf("%02dT%02d:%02d", pick(g, 3, 3, 4), g.IntN(3), pick(g, 0, 10, 20, 30, 40))
}

func (g *generator) cell() string {
	v := pick(g, "1", "2", "3", "1", "2.5", "0.1", "-0", "0", "NaN", "+Inf", "nan:7ff0000000000002", "0.30000000000000004", "missing")
	if v == "missing" || g.IntN(3) > 0 {
		return pick(g, "a", "b", "c") + "=" + v
	}
	return pick(g, "a", "b") + "=" + v + "/" + pick(g, "1", "2", "3", "4", "9")
}

func (g *generator) rows(label func() string) string {
	var b strings.Builder
	for range 1 + g.IntN(pick(g, 1, 4, 12)) {
		fmt.Fprintf(&b, "%s %s", label(), g.time())
		for range 1 + g.IntN(3) {
			b.WriteString(" " + g.cell())
		}
		if g.IntN(4) == 0 {
			b.WriteString(" received=" + g.time())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (g *generator) group() string {
	return pick(g, `{station="x"}`, `{station="x"}`, `{station="y"}`, `{station="x", sensor="1"}`, `{site="z"}`, `{station="y", commune="q"}`, `{}`)
}

func (g *generator) person() string {
	return fmt.Sprintf("author=%s reason=r%d", pick(g, "lan", "minh"), g.IntN(5))
}

func (g *generator) id() string { return pick(g, "", " id=p", " id=q") }

func (g *generator) selector() string {
	return pick(g, "a", "b", `{station="x"}`, `{station=~".+"}`, `a{station!="x"}`, `{sensor=""}`, `{__name__=~"a|c"}`, `c{station="y"}`, `{model="m"}`)
}

// span is a time range, mostly of some length.
func (g *generator) span() string {
	switch g.IntN(4) {
	case 0:
		return ""
	case 1:
		return " from=" + g.time()
	case 2:
		return " to=" + g.time()
	}
	return " from=03T00:00 to=" + g.time()
}

func (g *generator) change() {
	if g.IntN(2) == 0 {
		g.say("clock +0s") // the change before may have been made in the same second
	}
	switch g.IntN(20) {
	case 0, 1:
		g.say("clock +%s", pick(g, "1s", "10m", "1h", "20h", "0s"))
	case 2:
		g.say("flush")
	case 3:
		g.say("compact")
	case 4:
		g.say("reopen")
	case 5:
		g.say("crash")
	case 6, 7:
		g.say("correct %s%s\n%s", g.person(), g.id(), g.rows(g.group))
		g.commits++
	case 8:
		g.say("delete%s %s%s\n%s", g.span(), g.person(), g.id(), g.selector())
		g.commits++
	case 9:
		g.say("revoke %s id=%s", g.person(), pick(g, "p", "q"))
		g.commits++
	case 10, 11:
		model := pick(g, "m", "m", "n")
		g.say("forecast model=%s issue=%s\n%s", model, g.time(), g.rows(func() string {
			return fmt.Sprintf("{station=%q, model=%q}", pick(g, "x", "y"), model)
		}))
		g.commits++
	case 12:
		g.say("repeat n=%d step=%s by=%s\n%s %s a=%s", 1+g.IntN(80), pick(g, "10m", "10m", "1h", "13h", "1s"), pick(g, "0", "0.1", "1"), g.group(), g.time(), pick(g, "1", "2", "5"))
		g.commits++
	default:
		g.say("append\n%s", g.rows(g.group))
		g.commits++
	}
}

func (g *generator) as() string { return pick(g, "", "", "", " as=(x)", " as=(y,x)", " as=()") }

func (g *generator) read() {
	switch g.IntN(10) {
	case 0, 1:
		g.say("latest%s\n%s", g.as(), g.selector())
	case 2:
		g.say("revisions at=%s%s\n%s", g.time(), g.as(), pick(g, `a{station="x"}`, `b{station="x"}`, `a{station="y"}`, `a{station="x", model="m"}`, "a"))
	case 3:
		g.say("series%s%s\n%s", g.span(), g.as(), g.selector())
	case 4:
		g.say("values name=%s limit=%d%s\n%s", pick(g, "station", "__name__", "sensor"), g.IntN(3), g.span(), g.selector())
	case 5:
		g.say("instant at=%s interval=%s\n%s", g.time(), pick(g, "10m", "1h", "0s"), g.selector())
	case 6, 7:
		g.say("fold op=%s first=%s step=%s width=%s n=%d%s%s%s%s\n%s", pick(g, "min", "max", "sum", "count", "avg", "first", "last"),
			g.time(), pick(g, "5m", "10m", "30m", "24h"), pick(g, "10m", "15m", "1h", "5h"), 1+g.IntN(12),
			g.asOf(), g.qualities(), g.as(), pick(g, "", "", " max-series=2"), g.selector())
	default:
		g.say("select%s%s%s%s%s%s\n%s", g.span(), g.asOf(), g.qualities(), pick(g, "", "", " device"),
			g.as()+pick(g, "", "", "", " max-samples=20", " max-series=3"), pick(g, "", " reuse"), g.selector())
	}
}

func (g *generator) qualities() string {
	return pick(g, "", " quality=all", " quality=4", " quality=1,9")
}

func (g *generator) asOf() string {
	switch g.IntN(4) {
	case 0:
		return fmt.Sprintf(" commit=%d", 1+g.IntN(g.commits+2))
	case 1:
		return fmt.Sprintf(" asof=%02dT%02d:%02d", 4+g.IntN(4), g.IntN(24), g.IntN(60))
	}
	return ""
}

// readAll reads everything in many ways.
func (g *generator) readAll() {
	for _, d := range []string{"select", "select quality=all", "select quality=all device", "latest", "series", "names", "reopen", "latest", "flush", "compact", "select quality=all", "select reuse", "fold op=sum first=03T00:00 step=1h width=2h n=80", "latest"} {
		g.say("%s", d)
	}
	for n := 1; n <= g.commits; n += 1 + g.commits/12 {
		g.say("select quality=all commit=%d", n)
	}
	for _, s := range []string{`a{station="x"}`, `a{station="y"}`, `a{station="x", model="m"}`} {
		for _, t := range []string{"03T00:00", "03T00:10", "04T01:00", "2026-09-01T00:00:00Z", "2026-10-31T17:00:00Z"} {
			g.say("revisions at=%s\n%s", t, s)
		}
	}
}
