package forecast

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"quantrac"
	"quantrac/forecast/arx"
)

// order is all that a run depends on beside what the store says.
type order struct {
	cfg     Config
	issue   quantrac.Millis
	known   Known
	trained *basis // nil: by the rule of fitFor
	reason  string
	alone   string // why the gauge is to be forecast by itself; "" where with all inputs

	// What the registry said at Issue.
	thresholds []quantrac.Threshold
	simulated  bool
	unit       string
	decimals   int
}

// basis is what a model is trained on: the window of rows before end, as known
// at a state.
type basis struct {
	end   quantrac.Millis
	known Known
}

// fitted is a model trained on the rows before its end.
type fitted struct {
	key      string
	model    *arx.Model // never moved on; runs take clones
	training Training
	cols     []*column
}

// fits keeps the newest trained models. A fit is a function of configuration,
// end and store, so whether one was kept changes nothing but the time a run
// takes.
type fits struct {
	mu  sync.Mutex
	all []*fitted // newest use last
}

// keptFits bounds the memory of trained models, some 4 MB each.
const keptFits = 48

func (fs *fits) get(key string) *fitted {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, ft := range fs.all {
		if ft.key == key {
			fs.all = append(slices.Delete(fs.all, i, i+1), ft)
			return ft
		}
	}
	return nil
}

func (fs *fits) put(ft *fitted) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.all = append(fs.all, ft); len(fs.all) > keptFits {
		fs.all = slices.Delete(fs.all, 0, 1)
	}
}

// compute makes a run. It writes nothing. The regression does without inputs
// that fail for a while; where one has been silent for so long, or never sent
// enough, that nothing can be learned with it, the gauge is forecast by itself.
func (f *Forecaster) compute(ctx context.Context, o order) (*Run, error) {
	run, blind, err := f.computeBy(ctx, &o)
	if err != nil || !blind || o.alone != "" || o.trained != nil || len(o.cfg.Upstream) == 0 {
		return run, err
	}
	o.alone = run.missing()
	alone, blind, err := f.computeBy(ctx, &o)
	switch {
	case err != nil && quantrac.KindOf(err) != quantrac.Unavailable:
		return nil, err
	case err != nil || blind:
		return run, nil
	}
	return alone, nil
}

// computeBy makes a run of all inputs, or of the gauge by itself. blind says
// that it is persistence because nothing could be learned.
func (f *Forecaster) computeBy(ctx context.Context, o *order) (run *Run, blind bool, err error) {
	cfg := o.cfg
	if o.alone != "" {
		cfg = cfg.alone()
	}
	ft, err := f.fitFor(ctx, &cfg, o)
	if err != nil {
		return nil, false, err
	}
	fc, inputs, err := f.run(ctx, &cfg, ft, o)
	if err != nil {
		return nil, false, err
	}
	run = &Run{Config: o.cfg, Issue: o.issue, Reason: o.reason, Known: o.known, Training: ft.training, Inputs: inputs,
		Simulated: o.simulated, Unit: o.unit, Decimals: o.decimals, Alone: o.alone}
	run.fill(fc, o.thresholds)
	return run, fc.Blind, run.check()
}

// run lets a trained model see what has come since, up to the issue time.
func (f *Forecaster) run(ctx context.Context, cfg *Config, ft *fitted, o *order) (*arx.Forecast, []Input, error) {
	var err error
	step := time.Duration(cfg.Step)
	since := make([]*column, len(ft.cols))
	inputs := make([]Input, len(ft.cols))
	for i, src := range cfg.inputs() {
		if since[i], err = f.readColumn(ctx, &src, step, ft.training.To.Add(step), o.issue, o.known); err != nil {
			return nil, nil, err
		}
		inputs[i] = join(src, ft.cols[i], since[i])
	}
	m := ft.model.Clone()
	row := make([]float64, len(since))
	for r := range since[0].values {
		for i, c := range since {
			row[i] = c.values[r]
		}
		if err := m.Append(row); err != nil {
			return nil, nil, err
		}
	}
	fc, err := m.Forecast()
	if err == nil && fc.Issue != o.issue {
		err = fmt.Errorf("model stands at %v, the run is of %v", fc.Issue, o.issue)
	}
	return fc, inputs, err
}

// fitFor returns the model to run: trained up to the newest multiple of Refit
// before the issue time, on what was known just before that. Where there was
// too little then (a young station, an import of old readings since), it is
// trained up to the issue time on what was known just before it, and where
// that too was little, on what the run itself knows. All depends on nothing
// that a later look would not find again.
func (f *Forecaster) fitFor(ctx context.Context, cfg *Config, o *order) (*fitted, error) {
	if o.trained != nil {
		return f.fit(ctx, cfg, *o.trained)
	}
	end := floor(o.issue, time.Duration(cfg.Refit))
	ft, err := f.fit(ctx, cfg, basis{end, Known{Time: end - 1}})
	if err == nil && !ft.enough() {
		ft, err = f.fit(ctx, cfg, basis{o.issue, Known{Time: o.issue - 1}})
	}
	if err == nil && !ft.enough() {
		ft, err = f.fit(ctx, cfg, basis{o.issue, o.known})
	}
	return ft, err
}

// enough says whether there was enough to train on.
func (ft *fitted) enough() bool {
	return ft.model.Reason() == "" || ft.model.Plain() && ft.cols[0].readings >= 500
}

// fit trains a model.
func (f *Forecaster) fit(ctx context.Context, c *Config, on basis) (*fitted, error) {
	key := fmt.Sprintf("%s %+v", c.digest(), on)
	if ft := f.fits.get(key); ft != nil {
		return ft, nil
	}
	step := time.Duration(c.Step)
	first, last := on.end.Add(-time.Duration(c.Window)), on.end.Add(-step)
	ft := &fitted{key: key, training: Training{From: first, To: last, Known: on.known}}
	cols := make([][]float64, 0, 1+len(c.Upstream))
	for _, src := range c.inputs() {
		col, err := f.readColumn(ctx, &src, step, first, last, ft.training.Known)
		if err != nil {
			return nil, err
		}
		ft.cols = append(ft.cols, col)
	}
	// The window begins with the gauge's first reading in it.
	gauge := ft.cols[0].values
	begin := slices.IndexFunc(gauge, func(v float64) bool { return !math.IsNaN(v) })
	if begin < 0 {
		begin = len(gauge)
	}
	for _, col := range ft.cols {
		col.values = col.values[begin:]
		cols = append(cols, col.values)
	}
	first = first.Add(time.Duration(begin) * step)
	ft.training.From = first
	began := time.Now()
	m, err := arx.Train(c.spec(), first, cols)
	if err != nil {
		return nil, err
	}
	f.stats.trained(time.Since(began))
	ft.model = m
	ft.training.Version, ft.training.Parameters = m.Version(), m.Parameters()
	f.fits.put(ft)
	return ft, nil
}
