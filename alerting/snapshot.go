package alerting

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"sort"

	"quantrac"
	"quantrac/alerting/level"
	"quantrac/internal/vfs"
)

// The snapshot is the judge's state after a commit. Layout: the magic (its
// last byte is the version), CRC-32 (IEEE) of the rest as 4 bytes little
// endian, then a gob of stored. Gob, because it keeps NaN payloads of deleted
// readings; the file is a shortcut only: without it the state is judged again
// from the journal.
const snapshotMagic = "qtalert\x01"

type stored struct {
	Commit   uint64 // judged up to here
	Said     uint64 // sayings up to here are part of it
	Rules    []ruleSet
	Series   []storedSeries
	Outlooks []storedOutlook
}

type storedSeries struct {
	Labels quantrac.Labels
	Last   quantrac.Millis
	Value  float64
	Silent *saying
	Kinds  []storedKind
}

type storedKind struct {
	Kind  quantrac.ThresholdKind
	Track level.Track
	Open  *saying
}

type storedOutlook struct {
	Key    string
	Kind   quantrac.ThresholdKind
	Issue  quantrac.Millis
	Run    uint64
	Before improbable
	Below  improbable
	Open   *saying
}

func (a *Alerting) snapshotPath() string { return filepath.Join(a.dir, "rules.snapshot") }

// snapshot stores the state, and lets the journal drop what it covers. It does
// nothing while something said is not yet journalled, or while the past is
// still being judged again.
func (g *judge) snapshot() error {
	if len(g.pending) > 0 || g.rec != nil || g.processed == g.snapped && g.snapped != 0 {
		return nil
	}
	st := stored{Commit: g.processed, Said: g.said}
	for _, s := range g.rules.list() {
		st.Rules = append(st.Rules, *s)
	}
	for _, s := range g.sorted() {
		x := storedSeries{Labels: s.labels, Last: s.last, Value: s.value, Silent: s.silent}
		for _, k := range s.kinds {
			x.Kinds = append(x.Kinds, storedKind{k.kind, k.track, k.open})
		}
		st.Series = append(st.Series, x)
	}
	for _, o := range g.foreseen {
		st.Outlooks = append(st.Outlooks, storedOutlook{o.key, o.kind, o.issue, o.run, o.before, o.below, o.open})
	}
	sort.Slice(st.Outlooks, func(i, j int) bool { return st.Outlooks[i].Key < st.Outlooks[j].Key })
	data, err := encodeSnapshot(&st)
	if err != nil {
		return fmt.Errorf("alerting: encoding the snapshot: %w", err)
	}
	if err := vfs.WriteFile(g.a.o.FS, g.a.snapshotPath(), data, 0o600); err != nil {
		return fmt.Errorf("alerting: %w", err)
	}
	g.snapped = g.processed
	g.a.stats.snapshot.Store(g.snapped)
	g.a.hold.Advance(g.snapped)
	return nil
}

func encodeSnapshot(st *stored) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(snapshotMagic)
	b.Write(make([]byte, 4))
	if err := gob.NewEncoder(&b).Encode(st); err != nil {
		return nil, err
	}
	out := b.Bytes()
	head := len(snapshotMagic)
	binary.LittleEndian.PutUint32(out[head:], crc32.ChecksumIEEE(out[head+4:]))
	return out, nil
}

func decodeSnapshot(data []byte) (*stored, error) {
	head := len(snapshotMagic)
	if len(data) < head+4 || string(data[:head]) != snapshotMagic {
		return nil, quantrac.Errorf(quantrac.Corrupt, "offset 0: not a snapshot of this version")
	}
	if want, got := binary.LittleEndian.Uint32(data[head:]), crc32.ChecksumIEEE(data[head+4:]); want != got {
		return nil, quantrac.Errorf(quantrac.Corrupt, "offset %d: checksum is %08x, want %08x", head, got, want)
	}
	var st stored
	if err := gob.NewDecoder(bytes.NewReader(data[head+4:])).Decode(&st); err != nil {
		return nil, quantrac.Errorf(quantrac.Corrupt, "offset %d: %w", head+4, err)
	}
	return &st, nil
}

// restore brings the judge to the state of the snapshot and reads what the
// journal holds beyond it. Without a snapshot it starts from the journal's
// beginning or, where that has been dropped, from the open episodes.
func (g *judge) restore(ctx context.Context) error {
	a := g.a
	st, err := a.readSnapshot()
	if err != nil {
		return err
	}
	if st != nil && st.Commit+1 < a.j.First() {
		a.o.Logger.Warn("alerting: the snapshot is older than the journal; starting from the open episodes", "snapshot", st.Commit, "journal", a.j.First())
		st = nil
	}
	if st != nil {
		g.resume(st)
	} else if err := g.restart(ctx); err != nil {
		return err
	}
	a.hold = a.j.Hold("alerting rules", g.processed)
	if g.rec, err = a.look(ctx, g.processed, g.said); err != nil {
		return err
	}
	for _, s := range g.sorted() {
		g.watch(s)
		for _, k := range s.kinds {
			if k.open != nil {
				g.schedule(k.open)
			}
		}
	}
	for _, o := range g.foreseen {
		if o.open != nil {
			g.schedule(o.open)
		}
	}
	first := st == nil && len(g.rules) == 0
	switch {
	case g.rec == nil:
		return g.reload(ctx, g.processed, first)
	case len(g.rec.rules[g.processed]) > 0:
		err = g.apply(ctx, g.processed, g.rec.rules[g.processed])
	case first && len(g.rec.rules) == 0: // nothing is written down of the law of those times
		err = g.reload(ctx, g.processed, true)
	}
	g.adoptClock()
	return err
}

func (a *Alerting) readSnapshot() (*stored, error) {
	data, err := vfs.ReadFile(a.o.FS, a.snapshotPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := decodeSnapshot(data)
	if err == nil && st.Commit > a.j.Last().Number {
		err = quantrac.Errorf(quantrac.Corrupt, "it is of commit %d, the journal ends at %d", st.Commit, a.j.Last().Number)
	}
	if err != nil {
		a.o.Logger.Warn("alerting: snapshot cannot be used; judging again", "path", a.snapshotPath(), "error", err)
		return nil, nil
	}
	return st, nil
}

// resume sets the state of a snapshot.
func (g *judge) resume(st *stored) {
	g.processed, g.snapped, g.said = st.Commit, st.Commit, st.Said
	for i := range st.Rules {
		g.rules.put(&st.Rules[i])
	}
	for _, x := range st.Series {
		s := &series{labels: x.Labels, last: x.Last, value: x.Value, silent: x.Silent}
		for _, k := range x.Kinds {
			s.kinds = append(s.kinds, &kindState{kind: k.Kind, track: k.Track, open: k.Open})
		}
		s.fit(g.rules.get(s.labels.Station(), s.labels.Metric()))
		g.series[string(seriesKey(nil, s.labels.Metric(), s.labels.Without(quantrac.LabelMetric)))] = s
	}
	for _, o := range st.Outlooks {
		g.foreseen[o.Key] = &foreseen{key: o.Key, kind: o.Kind, issue: o.Issue, run: o.Run, before: o.Before, below: o.Below, open: o.Open}
	}
}

// restart begins without a snapshot.
func (g *judge) restart(ctx context.Context) error {
	if g.a.j.First() <= 1 {
		return nil
	}
	g.processed = g.a.j.First() - 1
	g.a.o.Logger.Warn("alerting: there is no usable snapshot, and the journal does not go back to its beginning; starting from the open episodes: what lies before is not judged again, and a series silent since then is not noticed",
		"path", g.a.snapshotPath(), "journal", g.a.j.First())
	sets, err := g.a.storedRules(ctx)
	if err != nil {
		return err
	}
	for i := range sets {
		g.rules.put(&sets[i])
	}
	open, err := g.a.openSayings(ctx)
	if err != nil {
		return err
	}
	g.rec = &recovery{seen: map[string]int{}}
	for _, s := range open {
		if s.Warning.Commit <= g.processed {
			g.adopt(s)
		}
	}
	g.rec = nil
	return nil
}
