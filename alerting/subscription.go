package alerting

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"quantrac"
	"quantrac/internal/journal"
)

// Subscription is somebody who gets warnings by a channel that we drive: a
// webhook, an MQTT topic. It is journalled, secrets included; those are never
// shown again after they were made.
type Subscription struct {
	ID       string            `json:"id"`
	Channel  string            `json:"channel"` // which sender delivers it, such as "webhook"
	URL      string            `json:"url,omitempty"`
	Note     string            `json:"note,omitempty"` // whose it is
	Audience quantrac.Audience `json:"audience"`       // public, or staff for everything
	Stations []string          `json:"stations,omitempty"`
	MinLevel int               `json:"min_level,omitempty"` // episodes that never reach it are left out
	Secrets  []Secret          `json:"secrets,omitempty"`   // newest first
	Created  quantrac.Millis   `json:"created_ms"`
	By       string            `json:"by,omitempty"`
	Disabled bool              `json:"disabled,omitempty"`
	Reason   string            `json:"reason,omitempty"` // of being disabled
}

// Secret signs deliveries: whsec_ and the key in base64.
type Secret struct {
	Key   string          `json:"key"`
	Until quantrac.Millis `json:"until_ms,omitempty"` // 0: for good
}

// Wants says whether a revision is for the subscription. What matters is the
// highest level of the episode, so that its end is not left out.
func (s *Subscription) Wants(w *quantrac.Warning) bool {
	return (w.Audience == quantrac.AudiencePublic || s.Audience == quantrac.AudienceStaff) &&
		(len(s.Stations) == 0 || slices.Contains(s.Stations, w.Station)) &&
		(w.Rule == quantrac.RuleSilence || w.Peak >= s.MinLevel)
}

// Within says whether all that the subscription may carry is of stations that a
// principal may see: of the whole network only for whoever sees all of it.
func (s *Subscription) Within(p quantrac.Principal) bool {
	if p.Stations == nil {
		return true
	}
	return len(s.Stations) > 0 && !slices.ContainsFunc(s.Stations, func(id string) bool { return !slices.Contains(p.Stations, id) })
}

// Public returns the subscription without its secrets.
func (s Subscription) Public() Subscription {
	s.Secrets = nil
	return s
}

// Veiled returns it without secrets and without what of its address may be one:
// many receivers know their senders by a path or a query.
func (s Subscription) Veiled() Subscription {
	s.Secrets = nil
	if u, err := url.Parse(s.URL); s.URL != "" && err == nil {
		s.URL = u.Scheme + "://" + u.Host + "/…"
	}
	return s
}

// Subscribe adds a subscription of a channel. It is told what stands first, then
// every revision from now on. It returns it with the secret, which is not shown
// again. The address is checked for form only; the channel refuses what it may not
// reach.
func (a *Alerting) Subscribe(ctx context.Context, s Subscription) (Subscription, error) {
	p := quantrac.PrincipalFrom(ctx)
	if s.Audience == "" {
		s.Audience = quantrac.AudiencePublic
	}
	u, err := url.Parse(s.URL)
	switch {
	case s.Channel == "":
		return s, quantrac.Errorf(quantrac.Invalid, "a subscription needs a channel, such as webhook")
	case err != nil || s.Channel == "webhook" && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil):
		return s, quantrac.Errorf(quantrac.Invalid, "url %q is not an absolute http(s) address without credentials", s.URL)
	case s.Audience != quantrac.AudiencePublic && s.Audience != quantrac.AudienceStaff:
		return s, quantrac.Errorf(quantrac.Invalid, "audience %q is neither public nor staff", s.Audience)
	case s.Audience == quantrac.AudienceStaff && !p.Staff():
		return s, quantrac.Errorf(quantrac.Denied, "only staff may subscribe to technical warnings")
	case s.MinLevel < 0 || s.MinLevel > 3:
		return s, quantrac.Errorf(quantrac.Invalid, "min_level %d is not 0 to 3", s.MinLevel)
	}
	if p.Stations != nil {
		if len(s.Stations) == 0 {
			s.Stations = p.Stations
		}
		for _, st := range s.Stations {
			if !slices.Contains(p.Stations, st) {
				return s, quantrac.Errorf(quantrac.Denied, "station %q is not yours", st)
			}
		}
		if len(s.Stations) == 0 {
			return s, quantrac.Errorf(quantrac.Denied, "no station is yours")
		}
	}
	s.ID = "sub_" + strings.ToLower(rand.Text()[:16])
	return a.add(ctx, s, p, new(uint64))
}

// EnsureSubscription makes sure that a subscription of a fixed id is there, as
// the service's own channels need one: it is added the first time, and begins with
// the next revision.
func (a *Alerting) EnsureSubscription(ctx context.Context, s Subscription) error {
	if _, err := a.Subscription(s.ID); err == nil || s.ID == "" {
		return err
	}
	if s.Audience == "" {
		s.Audience = quantrac.AudiencePublic
	}
	_, err := a.add(ctx, s, quantrac.PrincipalFrom(ctx), nil)
	return err
}

// add journals a new subscription; standing is as of Progress.
func (a *Alerting) add(ctx context.Context, s Subscription, p quantrac.Principal, standing *uint64) (Subscription, error) {
	s.Secrets = []Secret{{Key: newSecret()}}
	s.Created, s.By, s.Disabled, s.Reason = a.o.Clock.Now(), p.Name, false, ""
	start := progressRecord{Subscription: s.ID, Progress: Progress{Commit: a.Position(), Standing: standing}}
	first, err := deliveryRecord(flagSubscription, s, false)
	if err != nil {
		return s, err
	}
	second, err := deliveryRecord(flagProgress, start, false)
	if err != nil {
		return s, err
	}
	a.subs.edits.Lock()
	defer a.subs.edits.Unlock()
	if _, err := a.j.Append(ctx, first, second); err != nil {
		return s, err
	}
	a.subs.change(func() { a.subs.all[s.ID], a.subs.progress[s.ID] = s, start.Progress })
	a.feed.poke()
	return s, nil
}

// newSecret makes 32 random bytes, in the form of Standard Webhooks.
func newSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

func deliveryRecord(flag uint16, v any, priority bool) (journal.Record, error) {
	data, err := json.Marshal(v)
	return journal.Record{Kind: quantrac.RecordDelivery, Flags: flag, Data: data, Priority: priority}, err
}

// Subscriptions returns all of them with their secrets, by id: for the
// channels. Show only Public.
func (a *Alerting) Subscriptions() []Subscription {
	a.subs.mu.Lock()
	defer a.subs.mu.Unlock()
	out := make([]Subscription, 0, len(a.subs.all))
	for _, s := range a.subs.all {
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y Subscription) int { return cmp.Compare(x.ID, y.ID) })
	return out
}

// Subscription returns one of them; NotFound where there is none.
func (a *Alerting) Subscription(id string) (Subscription, error) {
	a.subs.mu.Lock()
	defer a.subs.mu.Unlock()
	s, ok := a.subs.all[id]
	if !ok {
		return s, quantrac.Errorf(quantrac.NotFound, "there is no subscription %q", id)
	}
	return s, nil
}

// edit changes a subscription.
func (a *Alerting) edit(ctx context.Context, id string, fn func(*Subscription)) (Subscription, error) {
	a.subs.edits.Lock()
	defer a.subs.edits.Unlock()
	s, err := a.Subscription(id)
	if err != nil {
		return s, err
	}
	s.Secrets = slices.Clone(s.Secrets)
	fn(&s)
	rec, err := deliveryRecord(flagSubscription, s, true)
	if err != nil {
		return s, err
	}
	if _, err := a.j.Append(ctx, rec); err != nil {
		return s, err
	}
	a.subs.change(func() { a.subs.all[id] = s })
	a.feed.poke()
	return s, nil
}

// Disable stops a subscription; what is said meanwhile waits until Enable.
func (a *Alerting) Disable(ctx context.Context, id, reason string) error {
	_, err := a.edit(ctx, id, func(s *Subscription) { s.Disabled, s.Reason = true, reason })
	return err
}

// Enable lets a disabled subscription go on where it stopped.
func (a *Alerting) Enable(ctx context.Context, id string) error {
	_, err := a.edit(ctx, id, func(s *Subscription) { s.Disabled, s.Reason = false, "" })
	return err
}

// Rotate gives a subscription a new secret, which it returns. Deliveries are
// signed by both for the overlap, so that the receiver can change over.
func (a *Alerting) Rotate(ctx context.Context, id string, overlap time.Duration) (string, error) {
	key := newSecret()
	_, err := a.edit(ctx, id, func(s *Subscription) {
		now := a.o.Clock.Now()
		old := s.Secrets[:min(len(s.Secrets), 1)]
		s.Secrets = []Secret{{Key: key}}
		for _, x := range old {
			s.Secrets = append(s.Secrets, Secret{Key: x.Key, Until: now.Add(overlap)})
		}
	})
	return key, err
}

// Unsubscribe removes a subscription and what is known of its deliveries.
func (a *Alerting) Unsubscribe(ctx context.Context, id string) error {
	a.subs.edits.Lock()
	defer a.subs.edits.Unlock()
	if _, err := a.Subscription(id); err != nil {
		return err
	}
	rec, err := deliveryRecord(flagUnsubscribe, id, false)
	if err != nil {
		return err
	}
	if _, err := a.j.Append(ctx, rec); err != nil {
		return err
	}
	a.subs.change(func() {
		delete(a.subs.all, id)
		delete(a.subs.progress, id)
	})
	a.feed.poke()
	return nil
}
