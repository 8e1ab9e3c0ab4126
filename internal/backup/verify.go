package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"quantrac"
)

// Damage is a place that is damaged or missing in a backup.
type Damage struct {
	Backup  string `json:"backup"`
	File    string `json:"file,omitempty"`   // "" for the manifest itself
	Piece   int    `json:"piece"`            // of the file, from 0
	Offset  int64  `json:"offset"`           // of the piece in the file, bytes
	SHA256  string `json:"sha256,omitempty"` // the piece's name
	Problem string `json:"problem"`
}

// Checked says what Verify has read.
type Checked struct {
	Backups int      `json:"backups"`
	Pieces  int      `json:"pieces"` // different ones
	Bytes   int64    `json:"bytes"`  // of their content
	Damage  []Damage `json:"damage"` // by backup, file and offset
	Dropped int      `json:"dropped,omitempty"`
}

// Verify reads every piece of a backup, of all for the name "", and compares it
// with its name. Damage is no error but in the answer. With drop, pieces that
// are there and damaged, twice in a row, are deleted (Busy while Create or Prune
// works): the next Create ships them anew where the folder still has them, and
// that mends older backups too. Of all, Verified tells later.
func (t *Target) Verify(ctx context.Context, name string, drop bool) (Checked, error) {
	all, err := t.chosen(ctx, name)
	if err != nil {
		return Checked{}, err
	}
	pack, err := newPacker()
	if err != nil {
		return Checked{}, err
	}
	out := Checked{Damage: []Damage{}}
	pieces, bytes := map[piece]bool{}, int64(0)
	for _, m := range all {
		out.Backups++
		if m.manifest == nil {
			out.Damage = append(out.Damage, Damage{Backup: m.about.Name, Problem: m.about.Damage})
			continue
		}
		for _, f := range m.Files {
			for _, p := range f.Pieces {
				if !pieces[p] {
					pieces[p], bytes = true, bytes+p.Bytes
				}
			}
		}
	}
	out.Pieces, out.Bytes = len(pieces), bytes
	bad, err := t.inspect(ctx, pack, pieces, t.track(len(pieces), bytes))
	if err != nil {
		return Checked{}, err
	}
	if len(bad) > 0 { // pruned meanwhile is not damaged
		if all, err = t.remaining(ctx, all); err != nil {
			return Checked{}, err
		}
	}
	for _, m := range all {
		out.Damage = append(out.Damage, m.damaged(bad)...)
	}
	if drop && len(bad) > 0 {
		if out.Dropped, err = t.drop(ctx, pack, bad); err != nil {
			return out, err
		}
	}
	if name == "" {
		err = t.remember(ctx, &out)
	}
	return out, err
}

const verifiedName = "verified"

// verified is when all backups were read whole last.
type verified struct {
	At     quantrac.Millis `json:"at_ms"`
	Damage int             `json:"damage"` // places
}

// remember writes down that all backups have been read. Who may only read need
// not.
func (t *Target) remember(ctx context.Context, c *Checked) error {
	data, err := json.Marshal(verified{t.o.Clock.Now(), len(c.Damage)})
	if err != nil {
		return err
	}
	err = t.store.Put(ctx, verifiedName, append(data, '\n'))
	if err != nil && ctx.Err() == nil && quantrac.KindOf(err) != quantrac.Denied && !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%s: %w", t.store, err)
	}
	return ctx.Err()
}

// Verified returns when Verify has read all backups last, 0 for never, and how
// many places it found damaged.
func (t *Target) Verified(ctx context.Context) (at quantrac.Millis, damage int, err error) {
	data, err := t.store.Get(ctx, verifiedName)
	if quantrac.KindOf(err) == quantrac.NotFound {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", t.store, err)
	}
	var v verified
	if json.Unmarshal(data, &v) != nil { // which the next one writes anew
		return 0, 0, nil
	}
	return v.At, v.Damage, nil
}

// remaining returns those of the manifests that are in the store still.
func (t *Target) remaining(ctx context.Context, all []stored) ([]stored, error) {
	there := map[string]bool{}
	err := t.store.List(ctx, manifestFolder, func(o Object) error {
		there[strings.TrimPrefix(o.Name, manifestFolder)] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: list backups: %w", t.store, err)
	}
	return slices.DeleteFunc(all, func(m stored) bool { return !there[m.about.Name] }), nil
}

// drop deletes pieces that are damaged, while nobody relies on their being there.
func (t *Target) drop(ctx context.Context, pack *packer, bad map[piece]error) (dropped int, err error) {
	work, claim, err := t.claim(ctx, deleting)
	if err != nil {
		return 0, err
	}
	defer claim.release(ctx)
	for p := range bad {
		_, _, err := t.piece(work, pack, p)
		switch quantrac.KindOf(err) {
		case quantrac.NotFound, quantrac.KindNone: // gone, or mended by a Create meanwhile
			continue
		case quantrac.Corrupt:
			if err = claim.fresh(); err == nil {
				err = t.store.Delete(work, p.object())
			}
		}
		if err != nil {
			return dropped, fmt.Errorf("%s: %w", t.store, err)
		}
		dropped++
	}
	return dropped, nil
}

// chosen returns a backup, or all.
func (t *Target) chosen(ctx context.Context, name string) ([]stored, error) {
	if name == "" {
		return t.manifests(ctx)
	}
	m, err := t.find(ctx, name)
	switch {
	case quantrac.KindOf(err) == quantrac.Corrupt:
		return []stored{{nil, Backup{Name: name, Damage: err.Error()}}}, nil
	case err != nil:
		return nil, err
	}
	return []stored{{m, m.describe()}}, nil
}

// inspect reads pieces and returns what is wrong with some of them.
func (t *Target) inspect(ctx context.Context, pack *packer, pieces map[piece]bool, track *tracker) (map[piece]error, error) {
	var mu sync.Mutex
	bad := map[piece]error{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(t.o.Workers)
	for p := range pieces {
		g.Go(func() error {
			_, moved, err := t.piece(ctx, pack, p)
			if k := quantrac.KindOf(err); k == quantrac.Corrupt || k == quantrac.NotFound {
				mu.Lock()
				bad[p] = err
				mu.Unlock()
				err = nil
			}
			track.add(1, p.Bytes, moved)
			return err
		})
	}
	return bad, g.Wait()
}

// piece gets a piece and checks it; what is damaged is read twice, as it may
// have been the way.
func (t *Target) piece(ctx context.Context, pack *packer, p piece) (data []byte, moved int64, err error) {
	for range 2 {
		if err := ctx.Err(); err != nil {
			return nil, moved, err
		}
		object, gerr := t.store.Get(ctx, p.object())
		moved += int64(len(object))
		if gerr != nil {
			return nil, moved, fmt.Errorf("%s: %w", t.store, gerr)
		}
		if data, err = pack.unpack(object, p); err == nil {
			return data, moved, nil
		}
	}
	return nil, moved, fmt.Errorf("%s: %w", t.store, err)
}

// damaged lists where a backup has the bad pieces.
func (m *stored) damaged(bad map[piece]error) (out []Damage) {
	if m.manifest == nil {
		return nil
	}
	for _, f := range m.Files {
		at := int64(0)
		for i, p := range f.Pieces {
			if err := bad[p]; err != nil {
				problem := err.Error()
				if quantrac.KindOf(err) == quantrac.NotFound {
					problem = "it is missing"
				}
				out = append(out, Damage{m.Name, f.Path, i, at, p.SHA256, problem})
			}
			at += p.Bytes
		}
	}
	return out
}

// Err sums up the damage as an error of kind Corrupt, nil where there is none.
func (c *Checked) Err() error {
	if len(c.Damage) == 0 {
		return nil
	}
	var backups []string
	for _, d := range c.Damage {
		if !slices.Contains(backups, d.Backup) {
			backups = append(backups, d.Backup)
		}
	}
	return quantrac.WithKind(quantrac.Corrupt, errors.New("damaged or incomplete: "+strings.Join(backups, ", ")))
}
