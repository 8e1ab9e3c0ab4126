package alerting

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"quantrac"
	"quantrac/internal/journal"
)

//go:embed migrations
var migrations embed.FS

func readMigrations() (fs.FS, error) { return fs.Sub(migrations, "migrations") }

// project applies one of our records to the tables.
func (a *Alerting) project(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	switch {
	case e.Kind == quantrac.RecordDelivery:
		return projectDelivery(ctx, tx, e)
	case e.Flags == flagRules:
		return projectRules(ctx, tx, e)
	case e.Flags == flagWarning:
		return projectWarning(ctx, tx, e)
	}
	return quantrac.Errorf(quantrac.Corrupt, "warning record of commit %d has unknown flags %d", e.Number, e.Flags)
}

func projectWarning(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	s, err := decodeSaying(e.Commit, e.Data)
	if err != nil {
		return err
	}
	w := &s.Warning
	body, err := s.body() // with commit and time
	if err != nil {
		return err
	}
	// An append whose outcome was not known is made again; the first stands.
	res, err := tx.ExecContext(ctx, `INSERT INTO revisions (commit_number, id, epoch, revision, rule, audience, station, sent_ms, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id, epoch, revision) DO NOTHING`,
		int64(e.Number), w.ID, int64(w.Epoch), w.Revision, w.Rule, string(w.Audience), w.Station, int64(w.Sent), body)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO episodes (id, commit_number, ended) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET commit_number = excluded.commit_number, ended = excluded.ended`,
		w.ID, int64(e.Number), w.Ended())
	return err
}

func projectRules(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	r, err := decodeRules(e.Commit, e.Data)
	if err != nil {
		return err
	}
	for i := range r.Sets {
		set := &r.Sets[i]
		if len(set.Thresholds) == 0 {
			_, err = tx.ExecContext(ctx, "DELETE FROM rule_sets WHERE station = ? AND property = ?", set.Station, set.Property)
		} else {
			var body []byte
			if body, err = json.Marshal(set); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO rule_sets (station, property, body) VALUES (?, ?, ?)
				ON CONFLICT (station, property) DO UPDATE SET body = excluded.body`, set.Station, set.Property, string(body))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// storedRules returns the rule sets as they were taken last.
func (a *Alerting) storedRules(ctx context.Context) ([]ruleSet, error) {
	return query(ctx, a, "rule sets", func(body string) (ruleSet, error) {
		var s ruleSet
		err := json.Unmarshal([]byte(body), &s)
		return s, err
	}, "SELECT body FROM rule_sets ORDER BY station, property")
}

// openSayings returns the newest revision of each open episode, in the order
// of commits.
func (a *Alerting) openSayings(ctx context.Context) ([]*saying, error) {
	return a.sayings(ctx, "SELECT r.body FROM episodes e JOIN revisions r USING (commit_number) WHERE e.ended = 0 ORDER BY commit_number")
}

func (a *Alerting) sayings(ctx context.Context, stmt string, args ...any) ([]*saying, error) {
	return query(ctx, a, "warnings", func(body string) (*saying, error) {
		var s saying
		err := json.Unmarshal([]byte(body), &s)
		return &s, err
	}, stmt, args...)
}

func (a *Alerting) warnings(ctx context.Context, stmt string, args ...any) ([]quantrac.Warning, error) {
	return query(ctx, a, "warnings", func(body string) (quantrac.Warning, error) {
		var s saying
		err := json.Unmarshal([]byte(body), &s)
		return s.Warning, err
	}, stmt, args...)
}

// query reads rows of one text column.
func query[T any](ctx context.Context, a *Alerting, what string, read func(body string) (T, error), stmt string, args ...any) ([]T, error) {
	rows, err := a.tables.SQL().QueryContext(ctx, stmt, args...)
	if err != nil {
		return nil, fmt.Errorf("alerting: %w", a.tables.Wrap("reading "+what, err))
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("alerting: %w", a.tables.Wrap("reading "+what, err))
		}
		v, err := read(body)
		if err != nil {
			return nil, quantrac.Errorf(quantrac.Corrupt, "alerting: reading %s: %w", what, err)
		}
		out = append(out, v)
	}
	if err := a.tables.Wrap("reading "+what, errors.Join(rows.Err(), rows.Close())); err != nil {
		return nil, fmt.Errorf("alerting: %w", err)
	}
	return out, nil
}
