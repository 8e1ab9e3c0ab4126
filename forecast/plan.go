package forecast

import (
	"sync"
	"time"

	"quantrac"
)

// plan is which models there are, what has arrived for each, and which runs
// are asked for.
type plan struct {
	mu     sync.Mutex
	models map[string]*modelState // by Config.Name
	wants  map[string]want        // runs asked for, by model
	wake   chan struct{}          // holds a token when wants has changed
	making string                 // model whose run is being made, "" between runs
	looked uint64                 // commit up to which the inputs have been looked at

	changed chan struct{} // holds a token when the registry has changed
}

// modelState is what is known of a model beside its runs.
type modelState struct {
	cfg      Config
	interval []time.Duration   // by input: expected between readings
	newest   []quantrac.Millis // by input: newest valid time seen since start
	heard    bool              // an input that shapes the newest issue came since the last run began
	issued   quantrac.Millis   // issue time of its newest run, 0 where none
	missed   quantrac.Millis   // newest issue time for which no run could be made
	why      string            // of missed
}

// want is a run that was asked for. Once its issue time is past it is void: the
// next has a time of its own, and should not be run before its inputs are there.
type want struct {
	reason string
	issue  quantrac.Millis
	at     quantrac.Millis // not before
}

func (p *plan) init() {
	p.models, p.wants = map[string]*modelState{}, map[string]want{}
	p.wake, p.changed = make(chan struct{}, 1), make(chan struct{}, 1)
}

// change says that the registry may hold other models.
func (p *plan) change() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// add puts a model in, or changes its configuration. The caller holds the lock
// or is alone.
func (p *plan) add(c Config) {
	if m := p.models[c.Name()]; m != nil && m.cfg.digest() == c.digest() {
		return
	}
	n := 1 + len(c.Upstream)
	p.models[c.Name()] = &modelState{cfg: c, interval: make([]time.Duration, n), newest: make([]quantrac.Millis, n)}
}

func (p *plan) config(name string) (Config, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.models[name]
	if m == nil {
		return Config{}, false
	}
	return m.cfg, true
}

// counts returns how many models and waiting runs there are.
func (p *plan) counts() (models, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.models), len(p.wants)
}

// ask wants a run of a model. Of two wishes for an issue time the earlier
// counts. The lock is held.
func (p *plan) ask(name string, w want) {
	if old, ok := p.wants[name]; ok && old.issue >= w.issue && old.at <= w.at {
		return
	}
	p.wants[name] = w
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next returns the run that is due first.
func (p *plan) next() (name string, w want, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, c := range p.wants {
		if !ok || c.at < w.at || c.at == w.at && n < name {
			name, w, ok = n, c, true
		}
	}
	return name, w, ok
}

// take begins with a run that was asked for; finish ends it.
func (p *plan) take(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.wants, name)
	p.making = name
}

func (p *plan) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.making = ""
}

// look notes how far the journal has been looked at.
func (p *plan) look(commit uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = commit
}

// begin says whether a run that was asked for is still called for, and why, now
// that an issue time is the newest: one that has been run is run again only if
// an input has come since.
func (p *plan) begin(name string, w want, issue quantrac.Millis) (reason string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.models[name]
	if m == nil || w.issue != issue || m.issued == issue && !m.heard {
		return "", false
	}
	m.heard = false
	if m.issued == issue {
		return ReasonLate, true
	}
	return w.reason, true
}

// done notes what became of a run for an issue time.
func (p *plan) done(name string, issue quantrac.Millis, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.models[name]
	switch {
	case m == nil:
	case err != nil:
		m.missed, m.why = issue, err.Error()
	default:
		m.issued, m.missed, m.why = max(m.issued, issue), 0, ""
	}
}

// arrived notes a reading and asks for the runs that it sets off. changed says
// that it is a correction of something older.
func (p *plan) arrived(station, property, sensor string, at, now quantrac.Millis, changed bool, settle, late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, m := range p.models {
		for i, src := range m.cfg.inputs() {
			if src.Station == station && src.Property == property && (src.Sensor == "" || src.Sensor == sensor) {
				m.newest[i] = max(m.newest[i], at)
				p.consider(name, m, at, now, changed, settle, late)
			}
		}
	}
}

// watches returns which stations' readings are inputs of a model.
func (p *plan) watches() func(station []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	stations := map[string]bool{}
	for _, m := range p.models {
		for _, src := range m.cfg.inputs() {
			stations[src.Station] = true
		}
	}
	return func(station []byte) bool { return stations[string(station)] }
}

// revised asks for new runs of all models: values were withdrawn or restored
// that a batch does not name.
func (p *plan) revised(now quantrac.Millis, late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, m := range p.models {
		issue := floor(now, time.Duration(m.cfg.Step))
		if m.issued > issue {
			continue // that run has seen it
		}
		m.heard = true
		if m.issued == issue {
			p.ask(name, want{ReasonLate, issue, now.Add(late)})
		}
	}
}

// consider asks for a run of a model where a reading of its inputs calls for
// one: all inputs of the newest issue have arrived, or one of an issue that has
// been run came late or was changed. now is when the reading came; where it is
// looked at only after a later issue was run, that run has had it.
func (p *plan) consider(name string, m *modelState, at, now quantrac.Millis, changed bool, settle, late time.Duration) {
	step := time.Duration(m.cfg.Step)
	issue := floor(now, step)
	if m.issued > issue {
		return
	}
	// The last day shapes a forecast; what is older waits for the next
	// training, unless somebody took the trouble to correct it.
	shapes := at <= issue && (changed || at > issue.Add(-max(24*time.Hour, 3*step)))
	m.heard = m.heard || shapes
	if m.issued == issue {
		if shapes {
			p.ask(name, want{ReasonLate, issue, now.Add(late)})
		}
		return
	}
	if m.cfg.Cron != "" {
		return // its times are set by hand
	}
	for i, newest := range m.newest {
		interval := m.interval[i]
		if interval <= 0 || interval > step {
			interval = step
		}
		if newest <= issue.Add(-interval) {
			return
		}
	}
	p.ask(name, want{ReasonInputs, issue, now.Add(settle)})
}

// due asks for the run of a model for its newest issue, unless that has been
// run. On the grid's schedule it waits out the delay, should the clock have
// leapt.
func (p *plan) due(name string, now quantrac.Millis, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.models[name]
	if m == nil {
		return
	}
	issue := floor(now, time.Duration(m.cfg.Step))
	if m.issued == issue {
		return
	}
	if reason == ReasonSchedule && m.cfg.Cron == "" {
		now = max(now, issue.Add(time.Duration(m.cfg.Delay)))
	}
	p.ask(name, want{reason, issue, now})
}

// again asks for a run in place of one that could not be published.
func (p *plan) again(name string, issue, at quantrac.Millis) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.models[name] != nil {
		p.ask(name, want{ReasonSchedule, issue, at})
	}
}
