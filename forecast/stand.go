package forecast

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"quantrac"
)

// Model says how a model stands.
type Model struct {
	Name   string          `json:"name"`
	Config Config          `json:"config"`
	Issued quantrac.Millis `json:"issued_ms"` // issue time of the newest run, 0 where none
	Missed quantrac.Millis `json:"missed_ms"` // issue time of a run that could not be made since, 0 where none
	Why    string          `json:"why"`       // of Missed
}

// Models returns the models that are run, by name.
func (f *Forecaster) Models() []Model {
	f.plan.mu.Lock()
	defer f.plan.mu.Unlock()
	out := make([]Model, 0, len(f.plan.models))
	for name, m := range f.plan.models {
		out = append(out, Model{Name: name, Config: m.cfg, Issued: m.issued, Missed: m.missed, Why: m.why})
	}
	slices.SortFunc(out, func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Behind says what the room has yet to do at an instant of its clock, as far as
// the journal's commits up to one go; "" where nothing is left: every model on a
// plain schedule has made, or missed, the run of the newest issue time if that is
// due, and so has whatever run the inputs set off. A clock that is driven waits
// for it; what it leaps over is not run.
func (f *Forecaster) Behind(at quantrac.Millis, commit uint64) string {
	for _, m := range f.Models() {
		issue := floor(at, time.Duration(m.Config.Step))
		due := issue.Add(time.Duration(m.Config.Delay)) <= at
		if m.Config.Cron == "" && due && m.Issued < issue && m.Missed < issue {
			return fmt.Sprintf("%s has not been run for %v", m.Name, issue)
		}
	}
	return f.plan.behind(at, commit)
}

func (p *plan) behind(at quantrac.Millis, commit uint64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looked < commit {
		return fmt.Sprintf("commit %d has not been looked at", commit)
	}
	if p.making != "" {
		return fmt.Sprintf("%s is being run", p.making)
	}
	for name, w := range p.wants {
		if w.at <= at {
			return fmt.Sprintf("%s is to be run (%s)", name, w.reason)
		}
	}
	return ""
}
