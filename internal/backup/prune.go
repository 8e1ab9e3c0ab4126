package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"quantrac"
)

// Keep says which backups Prune keeps: the newest ones, and the newest one of
// each of the last days, weeks (from Monday) and months that have any, in the
// civil time of the province. A backup stays if any of these wants it.
type Keep struct {
	Last, Daily, Weekly, Monthly int
	// Delete names backups to delete whatever the rest says.
	Delete []string
}

// grace is how long pieces that no backup names stay, by the store's clock: what
// was cut short goes on with them.
const grace = 24 * time.Hour

// Pruned says what Prune has deleted, or would.
type Pruned struct {
	Kept    []string `json:"kept"`
	Deleted []string `json:"deleted"`
	Pieces  int      `json:"pieces"` // deleted
	Bytes   int64    `json:"bytes"`  // of them, as stored
}

// Prune deletes the backups that keep does not want, and then the pieces that
// no backup names and that are a day old. With dry nothing is deleted. It
// refuses with kind Invalid where keep wants none, Busy while Create or another
// Prune works, and Corrupt where a manifest cannot be read, as nobody knows
// then which pieces are wanted: delete that backup by its name.
func (t *Target) Prune(ctx context.Context, keep Keep, dry bool) (Pruned, error) {
	if min(keep.Last, keep.Daily, keep.Weekly, keep.Monthly) < 0 || keep.Last+keep.Daily+keep.Weekly+keep.Monthly == 0 && len(keep.Delete) == 0 {
		return Pruned{}, quantrac.Errorf(quantrac.Invalid, "say how many backups to keep: the last, daily, weekly or monthly ones")
	}
	if err := t.check(ctx, false); err != nil {
		return Pruned{}, err
	}
	work, claim, err := t.claim(ctx, deleting)
	if err != nil {
		return Pruned{}, err
	}
	defer claim.release(ctx)
	out, err := t.prune(work, claim, keep, dry)
	if cause := context.Cause(work); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return out, fmt.Errorf("prune: %w", err)
	}
	return out, nil
}

func (t *Target) prune(ctx context.Context, claim *claim, keep Keep, dry bool) (Pruned, error) {
	all, err := t.manifests(ctx)
	if err != nil {
		return Pruned{}, err
	}
	out, err := keep.choose(all)
	if err != nil {
		return Pruned{}, err
	}
	for _, name := range out.Deleted {
		if dry {
			break
		}
		if err := t.store.Delete(ctx, manifestFolder+name); err != nil {
			return out, fmt.Errorf("%s: %w", t.store, err)
		}
	}
	wanted := map[string]bool{}
	for _, m := range all {
		if m.manifest == nil || !slices.Contains(out.Kept, m.Name) {
			continue
		}
		for _, f := range m.Files {
			for _, p := range f.Pieces {
				wanted[p.object()] = true
			}
		}
	}
	return out, t.sweep(ctx, claim, wanted, dry, &out)
}

// choose says what stays and what goes.
func (k Keep) choose(all []stored) (Pruned, error) {
	out := Pruned{Kept: []string{}, Deleted: []string{}}
	for _, name := range k.Delete {
		if !slices.ContainsFunc(all, func(m stored) bool { return m.about.Name == name }) {
			return out, quantrac.Errorf(quantrac.NotFound, "there is no backup %q", name)
		}
	}
	spans := []struct {
		left int
		of   func(time.Time) string
		seen string
	}{
		{left: k.Daily, of: func(at time.Time) string { return at.Format(time.DateOnly) }},
		{left: k.Weekly, of: func(at time.Time) string { y, w := at.ISOWeek(); return fmt.Sprint(y, w) }},
		{left: k.Monthly, of: func(at time.Time) string { return at.Format("2006-01") }},
	}
	none := k.Last+k.Daily+k.Weekly+k.Monthly == 0 // only what is named goes
	for _, m := range slices.Backward(all) {
		name := m.about.Name
		if slices.Contains(k.Delete, name) {
			out.Deleted = append(out.Deleted, name)
			continue
		}
		if m.manifest == nil {
			return out, quantrac.Errorf(quantrac.Corrupt, "%s: nobody knows which pieces are its; delete it by its name first", m.about.Damage)
		}
		stay := none || len(out.Kept) < k.Last
		for i := range spans {
			sp := &spans[i]
			if span := sp.of(m.Created.Time().In(quantrac.Zone)); sp.left > 0 && span != sp.seen {
				sp.left, sp.seen, stay = sp.left-1, span, true
			}
		}
		if stay {
			out.Kept = append(out.Kept, name)
		} else {
			out.Deleted = append(out.Deleted, name)
		}
	}
	return out, nil
}

// sweep deletes old objects that nobody wants.
func (t *Target) sweep(ctx context.Context, claim *claim, wanted map[string]bool, dry bool, out *Pruned) error {
	var gone []Object
	for _, prefix := range []string{pieceFolder, unfinished + "/"} {
		err := t.store.List(ctx, prefix, func(o Object) error {
			if !wanted[o.Name] && claim.now.Sub(o.Modified) > grace {
				gone = append(gone, o)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", t.store, err)
		}
	}
	if dry {
		for _, o := range gone {
			out.count(o)
		}
		return nil
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(t.o.Workers)
	for _, o := range gone {
		g.Go(func() error {
			if err := errors.Join(ctx.Err(), claim.fresh()); err != nil {
				return err
			}
			if err := t.store.Delete(ctx, o.Name); err != nil {
				return fmt.Errorf("%s: %w", t.store, err)
			}
			mu.Lock()
			defer mu.Unlock()
			out.count(o)
			return nil
		})
	}
	return g.Wait()
}

func (p *Pruned) count(o Object) {
	p.Bytes += o.Bytes
	if strings.HasPrefix(o.Name, pieceFolder) {
		p.Pieces++
	}
}
