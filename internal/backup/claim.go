package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"quantrac"
)

// Create leaves out pieces that are there already, Prune deletes those that no
// manifest names: between the one's look and its manifest, the other could
// delete what the new backup relies on. No age of a piece tells, as the piece
// may be old and its last backup just pruned. So each says first that it is at
// work, by an object of its own, and then looks for the other's; whoever finds
// one gives way. Both may find each other and both give way, but not both go
// on, as stores show what was put at once to who lists afterwards.
//
// A claim is renewed while its owner lives and counts for claimLife after that.
// All ages are differences between times of the store's clock, so that wrong
// clocks of machines do no harm. An owner that cannot renew its claim in time
// (asleep, cut off) gives up, and writes no manifest.
const (
	claimFolder = "claims/"
	claimLife   = 15 * time.Minute
)

type purpose string

const (
	shipping purpose = "create" // any number at a time
	deleting purpose = "prune"  // one, and nobody else
)

// claim says in the store that somebody is at work.
type claim struct {
	t    *Target
	name string
	text []byte
	now  time.Time // of the store, when it was made

	mu sync.Mutex
	// renewed is when it was renewed last, by this machine's wall clock: the
	// other one may stand while the machine sleeps.
	renewed time.Time

	cancel context.CancelCauseFunc
	done   chan struct{}
}

// claim makes a claim, or refuses with kind Busy. The context that it returns
// ends when the claim can no longer be relied on.
func (t *Target) claim(ctx context.Context, why purpose) (context.Context, *claim, error) {
	text, err := json.Marshal(map[string]any{"at_work": why, "since_ms": t.o.Clock.Now()})
	if err != nil {
		return nil, nil, err
	}
	c := &claim{t: t, name: claimFolder + string(why) + "-" + rand.Text(), text: text, done: make(chan struct{})}
	c.renewed = time.Now().Round(0)
	if err := t.store.Put(ctx, c.name, text); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", t.store, err)
	}
	if err := c.alone(ctx, why); err != nil {
		c.drop(ctx)
		return nil, nil, err
	}
	work, cancel := context.WithCancelCause(ctx)
	c.cancel = cancel
	go c.keep(work)
	return work, c, nil
}

// alone says whether nobody is at work whom this one must not meet. What others
// have left behind for ever is cleared away by Prune.
func (c *claim) alone(ctx context.Context, why purpose) error {
	var others []Object
	listed := false
	err := c.t.store.List(ctx, claimFolder, func(o Object) error {
		if o.Name == c.name {
			c.now, listed = o.Modified, true
		} else {
			others = append(others, o)
		}
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", c.t.store, err)
	case !listed:
		return quantrac.Errorf(quantrac.Unavailable, "%s does not list what has just been put there", c.t.store)
	}
	for _, o := range others {
		his, _, _ := strings.Cut(strings.TrimPrefix(o.Name, claimFolder), "-")
		age := c.now.Sub(o.Modified)
		switch {
		case why == shipping && purpose(his) == shipping:
		case age <= c.t.life:
			return quantrac.Errorf(quantrac.Busy, "%s: a %s is at work there, or was cut short %s ago; it counts as ended %s after that: try again then",
				c.t.store, his, max(age, 0).Round(time.Second), c.t.life)
		case why == deleting:
			if err := c.t.store.Delete(ctx, o.Name); err != nil {
				return fmt.Errorf("%s: %w", c.t.store, err)
			}
		}
	}
	return nil
}

// keep renews the claim until the work ends, and ends the work once it cannot.
func (c *claim) keep(work context.Context) {
	defer close(c.done)
	every := time.NewTicker(c.t.life / 15)
	defer every.Stop()
	for {
		select {
		case <-work.Done():
			return
		case <-every.C:
		}
		err := c.fresh()
		if err == nil {
			start := time.Now().Round(0)
			if c.t.store.Put(work, c.name, c.text) == nil {
				c.mu.Lock()
				c.renewed = start
				c.mu.Unlock()
			}
			err = c.fresh()
		}
		if err != nil {
			c.cancel(err)
			return
		}
	}
}

// fresh says whether the claim was renewed so lately that for half its life
// nobody can think it has ended.
func (c *claim) fresh() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if late := time.Now().Round(0).Sub(c.renewed); late > c.t.life/2 || late < -c.t.life/2 {
		return quantrac.Errorf(quantrac.Unavailable, "%s: out of touch for %s, so that others may think this one has ended; run it again, what was done stays", c.t.store, late.Round(time.Second))
	}
	return nil
}

// release ends the claim.
func (c *claim) release(ctx context.Context) {
	c.cancel(nil)
	<-c.done
	c.drop(ctx)
}

// drop deletes the claim; where that fails it ends by itself.
func (c *claim) drop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_ = c.t.store.Delete(ctx, c.name)
}
