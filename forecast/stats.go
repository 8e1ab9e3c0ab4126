package forecast

import (
	"context"
	"sync"
	"time"
)

// Stats are figures about the room since it was opened.
type Stats struct {
	Models       int // configured
	Waiting      int // runs asked for and not begun
	Runs         uint64
	Fallbacks    uint64 // of them persistence at every lead
	Failures     uint64 // runs that could not be made, archived or published
	Trainings    uint64
	TrainSeconds float64 // spent training
	RunSeconds   float64 // spent on runs, training included
	LastError    error   // of the newest failure; nil once a run has been made since
}

type counters struct {
	mu sync.Mutex
	Stats
}

func (c *counters) trained(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Trainings++
	c.TrainSeconds += d.Seconds()
}

func (c *counters) ran(r *Run, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Runs++
	c.RunSeconds += d.Seconds()
	if r.Fallback != "" {
		c.Fallbacks++
	}
	c.LastError = nil
}

// failed counts an error, unless it is that the service is ending.
func (c *counters) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Failures++
	c.LastError = err
}

// Stats returns the room's figures.
func (f *Forecaster) Stats() Stats {
	f.stats.mu.Lock()
	s := f.stats.Stats
	f.stats.mu.Unlock()
	s.Models, s.Waiting = f.plan.counts()
	return s
}
