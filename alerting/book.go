package alerting

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"quantrac"
	"quantrac/internal/journal"
)

// book holds the subscriptions in memory. edits is taken before mu, and held
// while a change is journalled; mu never is.
type book struct {
	edits    sync.Mutex
	mu       sync.Mutex
	all      map[string]Subscription
	progress map[string]Progress
}

func (b *book) change(fn func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn()
}

type progressRecord struct {
	Subscription string    `json:"subscription"`
	Progress     Progress  `json:"progress"`
	Outcomes     []Outcome `json:"outcomes,omitempty"`
}

func (a *Alerting) loadSubscriptions(ctx context.Context) error {
	b := &a.subs
	b.all, b.progress = map[string]Subscription{}, map[string]Progress{}
	subs, err := query(ctx, a, "subscriptions", func(body string) (s Subscription, err error) {
		return s, json.Unmarshal([]byte(body), &s)
	}, "SELECT body FROM subscriptions")
	if err != nil {
		return err
	}
	for _, s := range subs {
		b.all[s.ID] = s
	}
	ps, err := query(ctx, a, "progress", func(body string) (p progressRecord, err error) {
		return p, json.Unmarshal([]byte(body), &p)
	}, "SELECT body FROM progress")
	for _, p := range ps {
		b.progress[p.Subscription] = p.Progress
	}
	return err
}

// Progress returns how far a subscription has got.
func (a *Alerting) Progress(id string) Progress {
	a.subs.mu.Lock()
	defer a.subs.mu.Unlock()
	p := a.subs.progress[id]
	p.Held = slices.Clone(p.Held)
	return p
}

// SaveProgress makes durable how far a subscription has got, with what became
// of the revisions in between. Even where it fails the progress counts until
// the next start: a warning must not wait for a disk. Of a subscription that
// is gone it does nothing.
func (a *Alerting) SaveProgress(ctx context.Context, id string, p Progress, done ...Outcome) error {
	// Not priority: on a full disk the reserve is for warnings.
	rec, err := deliveryRecord(flagProgress, progressRecord{id, p, done}, false)
	if err != nil {
		return err
	}
	a.subs.mu.Lock()
	if _, ok := a.subs.all[id]; !ok {
		a.subs.mu.Unlock()
		return nil
	}
	a.subs.progress[id] = p
	a.subs.mu.Unlock()
	_, err = a.j.Append(ctx, rec)
	return err
}

// Deliveries returns what became of the newest revisions for a subscription,
// newest first, at most limit.
func (a *Alerting) Deliveries(ctx context.Context, id string, limit int) ([]Outcome, error) {
	return query(ctx, a, "deliveries", func(body string) (o Outcome, err error) {
		return o, json.Unmarshal([]byte(body), &o)
	}, `SELECT json_object('commit', commit_number, 'id', id, 'revision', revision, 'outcome', outcome, 'at_ms', at_ms, 'detail', detail)
		FROM deliveries WHERE subscription = ? ORDER BY commit_number DESC LIMIT ?`, id, limit)
}

// bookChange is a record of subscriptions, decoded.
type bookChange struct {
	put      *Subscription
	remove   string
	progress *progressRecord
}

func decodeDelivery(e journal.Entry) (c bookChange, err error) {
	switch e.Flags {
	case flagSubscription:
		c.put = &Subscription{}
		if err = json.Unmarshal(e.Data, c.put); err == nil && c.put.ID == "" {
			err = errors.New("no id")
		}
	case flagUnsubscribe:
		err = json.Unmarshal(e.Data, &c.remove)
	case flagProgress:
		c.progress = &progressRecord{}
		err = json.Unmarshal(e.Data, c.progress)
	default:
		err = fmt.Errorf("unknown flags %d", e.Flags)
	}
	if err != nil {
		err = quantrac.Errorf(quantrac.Corrupt, "delivery record of commit %d: %w", e.Number, err)
	}
	return c, err
}

// apply takes a record into the book in memory.
func (b *book) apply(e journal.Entry) error {
	c, err := decodeDelivery(e)
	if err != nil {
		return err
	}
	b.change(func() {
		switch {
		case c.put != nil:
			b.all[c.put.ID] = *c.put
		case c.progress != nil:
			if _, ok := b.all[c.progress.Subscription]; ok {
				b.progress[c.progress.Subscription] = c.progress.Progress
			}
		default:
			delete(b.all, c.remove)
			delete(b.progress, c.remove)
		}
	})
	return nil
}

// projectDelivery applies a record of subscriptions to the tables.
func projectDelivery(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	c, err := decodeDelivery(e)
	switch {
	case err != nil:
		return err
	case c.put != nil:
		_, err := tx.ExecContext(ctx, `INSERT INTO subscriptions (id, body) VALUES (?, ?)
			ON CONFLICT (id) DO UPDATE SET body = excluded.body`, c.put.ID, string(e.Data))
		return err
	case c.progress != nil:
		return projectProgress(ctx, tx, c.progress, string(e.Data))
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM subscriptions WHERE id = ?", c.remove)
	return err
}

func projectProgress(ctx context.Context, tx *sql.Tx, p *progressRecord, body string) error {
	res, err := tx.ExecContext(ctx, `INSERT INTO progress (subscription, body) SELECT id, ? FROM subscriptions WHERE id = ?
		ON CONFLICT (subscription) DO UPDATE SET body = excluded.body`, body, p.Subscription)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err // the subscription is gone
	}
	for _, o := range p.Outcomes {
		if _, err := tx.ExecContext(ctx, `INSERT INTO deliveries (subscription, commit_number, id, revision, outcome, at_ms, detail) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (subscription, commit_number) DO UPDATE SET outcome = excluded.outcome, at_ms = excluded.at_ms, detail = excluded.detail`,
			p.Subscription, int64(o.Commit), o.ID, o.Revision, o.Outcome, int64(o.At), o.Detail); err != nil {
			return err
		}
	}
	return nil
}
