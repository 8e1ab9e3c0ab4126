package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"quantrac"
)

const (
	markName = "format"
	markText = "quantrac backup 1\n"
)

// Options of a Target. The zero value works.
type Options struct {
	Clock quantrac.Clock // dates backups; SystemClock
	// Workers is how many objects are on their way at once; 4.
	Workers int
	// Progress is told, now and then and one call after another, how far a
	// method has come.
	Progress func(Progress)
}

// Progress is how far work on a backup has come.
type Progress struct {
	Files, AllFiles int
	Bytes, AllBytes int64 // of the files, read or written so far
	Moved           int64 // bytes that went to or came from the store, as stored
}

// Target is a place with the backups of one folder. Its methods may be called
// from several goroutines and processes.
type Target struct {
	store Store
	o     Options
	life  time.Duration // of a claim that is not renewed
}

// New returns the target in a store. Nothing is asked of the store yet.
func New(store Store, o Options) *Target {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Workers <= 0 {
		o.Workers = 4
	}
	return &Target{store, o, claimLife}
}

// String names the place.
func (t *Target) String() string { return t.store.String() }

// enough ends a listing that has found what it was after.
var errEnough = errors.New("enough")

// check refuses a place that holds something else, or backups of a later
// format. fresh makes an empty place one for backups.
func (t *Target) check(ctx context.Context, fresh bool) error {
	data, err := t.store.Get(ctx, markName)
	switch {
	case err == nil && string(data) == markText:
		return nil
	case err == nil:
		return quantrac.Errorf(quantrac.Corrupt, "%s: its %s says %.40q, this program knows %q", t.store, markName, data, markText)
	case quantrac.KindOf(err) != quantrac.NotFound:
		return fmt.Errorf("%s: %w", t.store, err)
	}
	found := ""
	err = t.store.List(ctx, "", func(o Object) error {
		if strings.HasPrefix(o.Name, unfinished+"/") { // of a first try that was cut short
			return nil
		}
		found = o.Name
		return errEnough
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return fmt.Errorf("%s: %w", t.store, err)
	case found != "":
		return quantrac.Errorf(quantrac.Invalid, "%s holds no backups but other things, such as %s: name an empty place", t.store, found)
	case !fresh:
		return quantrac.Errorf(quantrac.NotFound, "there are no backups in %s", t.store)
	}
	return t.store.Put(ctx, markName, []byte(markText))
}

// List describes the backups, the oldest first. One whose manifest is damaged
// is there by name and with the Damage.
func (t *Target) List(ctx context.Context) ([]Backup, error) {
	all, err := t.manifests(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Backup, len(all))
	for i, m := range all {
		out[i] = m.about
	}
	return out, nil
}

// Stored returns what the pieces of all backups take up.
func (t *Target) Stored(ctx context.Context) (pieces int, bytes int64, err error) {
	err = t.store.List(ctx, pieceFolder, func(o Object) error {
		pieces, bytes = pieces+1, bytes+o.Bytes
		return nil
	})
	if err != nil {
		err = fmt.Errorf("%s: list pieces: %w", t.store, err)
	}
	return pieces, bytes, err
}

// stored is a manifest in the store, or what is wrong with it.
type stored struct {
	*manifest        // nil where it is damaged
	about     Backup // always
}

// manifests reads all manifests, the oldest first, damaged ones before.
func (t *Target) manifests(ctx context.Context) ([]stored, error) {
	if err := t.check(ctx, false); err != nil {
		return nil, err
	}
	var names []string
	err := t.store.List(ctx, manifestFolder, func(o Object) error {
		names = append(names, strings.TrimPrefix(o.Name, manifestFolder))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: list backups: %w", t.store, err)
	}
	var out []stored
	for _, name := range names {
		m, err := t.manifest(ctx, name)
		switch quantrac.KindOf(err) {
		case quantrac.KindNone:
			if err != nil {
				return nil, err
			}
			out = append(out, stored{m, m.describe()})
		case quantrac.Corrupt:
			out = append(out, stored{nil, Backup{Name: name, Damage: err.Error()}})
		case quantrac.NotFound: // pruned meanwhile
		default:
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b stored) int {
		if a.about.Created != b.about.Created {
			return int(max(-1, min(1, a.about.Created-b.about.Created)))
		}
		return strings.Compare(a.about.Name, b.about.Name)
	})
	return out, nil
}

func (t *Target) manifest(ctx context.Context, name string) (*manifest, error) {
	data, err := t.store.Get(ctx, manifestFolder+name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.store, err)
	}
	m, err := decode(name, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.store, err)
	}
	return m, nil
}

// find returns the manifest of a backup, "" for the newest: Corrupt where that may
// be one whose manifest is damaged, as nobody should get an older one unasked.
func (t *Target) find(ctx context.Context, name string) (*manifest, error) {
	if name != "" {
		err := CheckName(name)
		if err == nil {
			err = t.check(ctx, false)
		}
		if err != nil {
			return nil, err
		}
		m, err := t.manifest(ctx, name)
		if quantrac.KindOf(err) == quantrac.NotFound {
			return nil, quantrac.Errorf(quantrac.NotFound, "%s: there is no backup %q", t.store, name)
		}
		return m, err
	}
	all, err := t.manifests(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, quantrac.Errorf(quantrac.NotFound, "there are no backups in %s", t.store)
	}
	newest := all[len(all)-1]
	for _, m := range slices.Backward(all) {
		// When a damaged one was begun is not known; names are times, unless others were given.
		if m.manifest == nil && (newest.manifest == nil || m.about.Name > newest.Name) {
			return nil, quantrac.Errorf(quantrac.Corrupt, "backup %s may be the newest, and its manifest is damaged: %s; say by name which one is wanted", m.about.Name, m.about.Damage)
		}
	}
	return newest.manifest, nil
}

// tracker counts progress and tells it.
type tracker struct {
	mu   sync.Mutex
	p    Progress
	tell func(Progress)
}

func (t *Target) track(files int, bytes int64) *tracker {
	return &tracker{p: Progress{AllFiles: files, AllBytes: bytes}, tell: t.o.Progress}
}

func (t *tracker) add(files int, bytes, moved int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p.Files += files
	t.p.Bytes += bytes
	t.p.Moved += moved
	if t.tell != nil {
		t.tell(t.p)
	}
}

func (t *tracker) moved() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.p.Moved
}
