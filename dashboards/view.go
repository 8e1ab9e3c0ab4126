package dashboards

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"quantrac"
)

// lookback is how far the page reads behind a family's newest values: two
// tidal means for gauges, a rain day, three nights of a trap, and a few
// readings where only the status is judged.
var lookback = map[quantrac.Family]time.Duration{
	quantrac.FamilyGauge:     2*tidalMean + time.Hour,
	quantrac.FamilyRain:      25 * time.Hour,
	quantrac.FamilyInsect:    96 * time.Hour,
	quantrac.FamilyLightning: 15 * time.Minute,
}

// defaultLookback serves the other families: trends of four intervals.
const defaultLookback = 6 * time.Hour

// cell is one station of the view, encoded once for all readers.
type cell struct {
	view *stationView
	raw  json.RawMessage
	seq  uint64 // of the change that made it so
}

// view is what every reader sees, kept current by refresh. A published view
// is never changed; the next one shares its unchanged cells.
type view struct {
	seq      uint64 // of the newest change
	full     uint64 // a reader that knows less must take everything
	cells    []*cell
	index    map[string]int
	warnings map[quantrac.Audience]*notice
	trouble  *trouble // why the figures are not from now; nil while all is well
}

// notice is the list of warnings for one audience.
type notice struct {
	list []quantrac.Warning
	raw  json.RawMessage
	seq  uint64
}

// trouble says since when the centre cannot read its own data.
type trouble struct {
	Since quantrac.Millis `json:"since"`
}

// inside is who the page is when it looks for everybody; what a reader may
// see is cut out afterwards.
func inside(ctx context.Context) context.Context {
	return quantrac.WithPrincipal(ctx, quantrac.Principal{Name: "page", Role: quantrac.RoleAdmin})
}

// current returns the view, made anew where it is older than maxAge.
func (p *Page) current(ctx context.Context) (*view, error) {
	p.mu.Lock()
	v, age := p.view, time.Since(p.looked)
	p.mu.Unlock()
	if v == nil {
		return p.refresh(ctx, nil, true)
	}
	if age < p.maxAge() {
		return v, nil
	}
	if !p.look.TryLock() {
		return v, nil // somebody is looking; nobody waits for a slow store
	}
	defer p.look.Unlock()
	bounded, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	return p.refreshLocked(bounded, nil, true)
}

// lookPatience is how long a look at the store may take before the figures
// are marked as interrupted.
const lookPatience = 10 * time.Second

// maxAge is how long a view serves requests: while Run follows the feed it is
// kept current, else it is made anew every two seconds at most.
func (p *Page) maxAge() time.Duration {
	if p.running.Load() {
		return 2 * p.o.Look
	}
	return 2 * time.Second
}

// refresh looks at the named stations again, or at all (nil), and publishes
// what has changed. On a failure the old view stays, marked as troubled; with
// none yet the error is returned.
func (p *Page) refresh(ctx context.Context, only []string, warnings bool) (*view, error) {
	p.look.Lock()
	defer p.look.Unlock()
	return p.refreshLocked(ctx, only, warnings)
}

func (p *Page) refreshLocked(ctx context.Context, only []string, warnings bool) (*view, error) {
	p.mu.Lock()
	old, age := p.view, time.Since(p.looked)
	p.mu.Unlock()
	if only == nil && old != nil && age < p.o.Flush && !p.running.Load() {
		return old, nil // somebody else has just looked
	}
	now := p.o.Clock.Now()
	next, err := p.build(inside(ctx), old, only, warnings, now)
	if err != nil {
		if old == nil || errors.Is(err, context.Canceled) {
			return old, err // nothing to show, or who asked has gone
		}
		p.o.Logger.Error("page: cannot read the newest figures; the last ones stay, marked as interrupted", "error", err)
		next = old.troubled(now)
	}
	p.mu.Lock()
	p.view, p.looked = next, time.Now()
	p.mu.Unlock()
	if old == nil || next.seq != old.seq {
		p.wake()
	}
	return next, nil
}

// troubled is the view with a mark that it is not from now.
func (v *view) troubled(now quantrac.Millis) *view {
	if v.trouble != nil {
		return v
	}
	n := *v
	n.seq++
	n.trouble = &trouble{Since: now}
	return &n
}

func (p *Page) build(ctx context.Context, old *view, only []string, warnings bool, now quantrac.Millis) (*view, error) {
	stations := p.d.Registry.Stations(now)
	if old == nil || len(old.cells) != len(stations) {
		only, warnings = nil, true
	}
	next := &view{index: make(map[string]int, len(stations)), warnings: map[quantrac.Audience]*notice{}}
	if old != nil {
		next.seq, next.full = old.seq, old.full
	}
	seq := next.seq + 1
	for _, a := range []quantrac.Audience{quantrac.AudiencePublic, quantrac.AudienceStaff} {
		n, err := p.notice(ctx, old, a, warnings, seq)
		if err != nil {
			return nil, err
		}
		next.warnings[a] = n
		if n.seq == seq {
			next.seq = seq
		}
	}
	fresh, err := p.lookAt(ctx, stations, only, next.warnings[quantrac.AudiencePublic].list, now)
	if err != nil {
		return nil, err
	}
	for i, s := range stations {
		c, err := nextCell(old, s.ID, fresh[s.ID], seq)
		if err != nil {
			return nil, err
		}
		if c.seq == seq {
			next.seq = seq
		}
		if old == nil || i >= len(old.cells) || old.cells[i].view.ID != s.ID {
			next.seq, next.full = seq, seq
		}
		next.index[s.ID] = i
		next.cells = append(next.cells, c)
	}
	if old != nil && (len(old.cells) != len(stations) || old.trouble != nil) {
		next.seq, next.full = seq, seq
	}
	return next, nil
}

// nextCell keeps the old cell of a station where nothing has changed.
func nextCell(old *view, id string, fresh *stationView, seq uint64) (*cell, error) {
	var was *cell
	if old != nil {
		if i, ok := old.index[id]; ok {
			was = old.cells[i]
		}
	}
	if fresh == nil && was != nil {
		return was, nil
	}
	if fresh == nil {
		return nil, quantrac.Errorf(quantrac.Busy, "page: station %q appeared while the page was looking; look again", id)
	}
	raw, err := json.Marshal(fresh)
	if err != nil {
		return nil, fmt.Errorf("page: station %q: %w", id, err)
	}
	if was != nil && bytes.Equal(raw, was.raw) {
		return was, nil
	}
	return &cell{view: fresh, raw: raw, seq: seq}, nil
}

// notice returns the list of running warnings, the gravest first.
func (p *Page) notice(ctx context.Context, old *view, a quantrac.Audience, look bool, seq uint64) (*notice, error) {
	if old != nil && !look {
		return old.warnings[a], nil
	}
	list := []quantrac.Warning{}
	if p.d.Warnings != nil {
		seen := map[string]bool{}
		audiences := []quantrac.Audience{quantrac.AudiencePublic}
		if a == quantrac.AudienceStaff {
			audiences = []quantrac.Audience{quantrac.AudienceStaff, quantrac.AudiencePublic}
		}
		for _, who := range audiences {
			for _, w := range p.d.Warnings.Current(ctx, who) {
				if !w.Ended() && !seen[w.ID] && (w.Audience == quantrac.AudiencePublic || a == quantrac.AudienceStaff) {
					seen[w.ID] = true
					list = append(list, w)
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b quantrac.Warning) int {
		if a.Level != b.Level {
			return b.Level - a.Level
		}
		return int(b.Sent - a.Sent)
	})
	raw, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("page: warnings: %w", err)
	}
	if old != nil && bytes.Equal(raw, old.warnings[a].raw) {
		return old.warnings[a], nil
	}
	return &notice{list: list, raw: raw, seq: seq}, nil
}

// lookAt reads and judges the named stations, or all.
func (p *Page) lookAt(ctx context.Context, stations []quantrac.Station, only []string, warnings []quantrac.Warning, now quantrac.Millis) (map[string]*stationView, error) {
	byFamily := map[quantrac.Family][]quantrac.Station{}
	wanted := make(map[string]bool, len(only))
	for _, id := range only {
		wanted[id] = true
	}
	for _, s := range stations {
		if only == nil || wanted[s.ID] {
			byFamily[s.Family] = append(byFamily[s.Family], s)
		}
	}
	out := map[string]*stationView{}
	for family, list := range byFamily {
		got, err := p.gather(ctx, family, list, now)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			g := got[s.ID]
			g.station = s
			g.station.Commune = p.communeName(s.Commune)
			g.properties = p.d.Registry.Properties(s.ID)
			g.thresholds = func(property string) []quantrac.Threshold {
				return p.d.Registry.Thresholds(s.ID, property, now)
			}
			for _, w := range warnings {
				if w.Station == s.ID {
					g.warnings = append(g.warnings, w)
				}
			}
			out[s.ID] = summarize(g, now)
		}
	}
	return out, nil
}

// gather reads the newest values and what lies shortly behind them for the
// stations of one family.
func (p *Page) gather(ctx context.Context, family quantrac.Family, list []quantrac.Station, now quantrac.Millis) (map[string]gathered, error) {
	ids := make([]string, len(list))
	for i, s := range list {
		ids[i] = s.ID
	}
	ms, err := observed(ids...)
	if err != nil {
		return nil, err
	}
	back := lookback[family]
	if back == 0 {
		back = defaultLookback
	}
	latest, err := p.d.Readings.Latest(ctx, ms)
	if err != nil {
		return nil, fmt.Errorf("page: latest values of the %s stations: %w", family, err)
	}
	recent, err := p.d.Readings.Range(ctx, ms, now.Add(-back), now.Add(quantrac.MaxAhead), 0, quantrac.AllQualities)
	if err != nil {
		return nil, fmt.Errorf("page: recent values of the %s stations: %w", family, err)
	}
	out := map[string]gathered{}
	for _, r := range latest {
		g := out[r.Labels.Station()]
		g.latest = append(g.latest, r)
		out[r.Labels.Station()] = g
	}
	for _, s := range recent {
		g := out[s.Labels.Station()]
		g.recent = append(g.recent, s)
		out[s.Labels.Station()] = g
	}
	return out, nil
}

// observed selects the observations, not the forecasts, of stations.
func observed(ids ...string) ([]*quantrac.Matcher, error) {
	none := quantrac.Equals(quantrac.LabelModel, "")
	if len(ids) == 1 {
		return []*quantrac.Matcher{quantrac.Equals(quantrac.LabelStation, ids[0]), none}, nil
	}
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = regexp.QuoteMeta(id)
	}
	m, err := quantrac.NewMatcher(quantrac.MatchRegexp, quantrac.LabelStation, strings.Join(quoted, "|"))
	return []*quantrac.Matcher{m, none}, err
}

// communeName returns the name of a commune's code of 2025, or the code.
func (p *Page) communeName(code string) string {
	if n, ok := p.communes[code]; ok {
		return n
	}
	return code
}
