package score

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"quantrac/internal/scorecard"
	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/store"
)

// Options say what is compared.
type Options struct {
	Scale    Scale
	Temp     string        // folder for data, which is removed again
	Ours     *store.Kind   // our service
	Peers    []*store.Kind // found on the machine
	Recorded string        // folder of recorded observations, "" for none
	Progress io.Writer
}

// Bench is one comparison.
type Bench struct {
	Options
	Figures Figures
	// Checks are what must hold whatever the figures: answers that are the same,
	// acknowledgements that come after a sync, nothing lost.
	Checks []scorecard.Row

	ctx    context.Context
	opened int // values that were there when stores opened again
}

// New begins a comparison. Processes and waits end with the context.
func New(ctx context.Context, o Options) *Bench {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return &Bench{Options: o, ctx: ctx}
}

// Phase is a part of a comparison that runs by itself.
type Phase struct {
	Name string
	run  func(*Bench) error
}

// Phases are all parts, in the order in which they run.
func Phases() []Phase {
	return []Phase{
		{"network", (*Bench).network},
		{"latest", (*Bench).latest},
		{"decade", (*Bench).decade},
		{"singles", (*Bench).singles},
		{"recorded", (*Bench).recorded},
		{"messages", (*Bench).messages},
		{"kill", (*Bench).kill},
		{"power", (*Bench).power},
		{"open", (*Bench).open},
	}
}

// Run runs the phases named, or all where none is. It returns only errors that
// end the comparison; a store that fails is noted in Figures.
func (b *Bench) Run(names ...string) error {
	for _, n := range names {
		if !slices.ContainsFunc(Phases(), func(p Phase) bool { return p.Name == n }) {
			return fmt.Errorf("there is no phase %q", n)
		}
	}
	for _, p := range Phases() {
		if len(names) > 0 && !slices.Contains(names, p.Name) {
			continue
		}
		start := time.Now()
		b.say("%s …", p.Name)
		if err := p.run(b); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		b.say("%s took %.0f s", p.Name, time.Since(start).Seconds())
	}
	return b.ctx.Err()
}

// Stores are the names of all that is compared, ours first.
func (b *Bench) Stores() []string {
	names := []string{b.Ours.Name}
	for _, p := range b.Peers {
		names = append(names, p.Name)
	}
	return names
}

// among returns our service and the peers of those names that are there.
func (b *Bench) among(names ...string) []*store.Kind {
	out := []*store.Kind{b.Ours}
	for _, p := range b.Peers {
		if slices.Contains(names, p.Name) {
			out = append(out, p)
		}
	}
	return out
}

func (b *Bench) say(format string, args ...any) {
	fmt.Fprintf(b.Progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// batchLines is how many lines a post has.
const batchLines = 5000

// file writes a load down, for every store to be sent.
func (b *Bench) file(n load.Network) (*load.File, error) {
	return b.write(n.Batches(batchLines))
}

func (b *Bench) write(batches iter.Seq[load.Batch]) (*load.File, error) {
	dir, err := os.MkdirTemp(b.Temp, "load")
	if err != nil {
		return nil, err
	}
	f, err := load.Write(dir, "lines", b.whileRunning(batches))
	if err != nil {
		return nil, err
	}
	b.say("a load of %d values, %d lines, %d MB", f.Values, f.Lines, f.Bytes()>>20)
	return f, b.ctx.Err()
}

// whileRunning ends a stream of batches with the context.
func (b *Bench) whileRunning(batches iter.Seq[load.Batch]) iter.Seq[load.Batch] {
	return func(yield func(load.Batch) bool) {
		for batch := range batches {
			if b.ctx.Err() != nil || !yield(batch) {
				return
			}
		}
	}
}

// with runs a store on a new data folder for as long as do needs it. What goes
// wrong with a store is noted and ends nothing but its own figures.
func (b *Bench) with(k *store.Kind, what string, do func(s *store.Server) error) {
	s, err := k.Start(b.ctx, b.Temp)
	if err == nil {
		err = do(s)
		if e := s.Remove(); err == nil {
			err = e
		}
	}
	if err != nil && b.ctx.Err() == nil {
		b.say("%s, %s: %v", k.Name, what, err)
		b.Figures.fail(k.Name, what, err)
	}
}

// check notes something that must hold. problem is "" where it does.
func (b *Bench) check(name, measured, wanted, problem string) {
	row := scorecard.Row{Name: name, Measured: measured, Wanted: wanted, OK: problem == ""}
	if problem != "" {
		row.Measured = problem
	}
	b.Checks = append(b.Checks, row)
}
