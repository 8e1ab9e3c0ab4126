package devices

import (
	"context"
	"encoding/json"
	"fmt"

	"quantrac"
)

// Change is one edit of the registry, as it was entered.
type Change struct {
	Commit uint64          `json:"commit"`
	Time   quantrac.Millis `json:"time_ms"`
	Actor  string          `json:"actor"`
	Reason string          `json:"reason,omitempty"`
	Kind   string          `json:"kind"`
	ID     string          `json:"id"`
	Edit   json.RawMessage `json:"edit"`
}

// Changes returns the newest edits, those of one kind or thing where kind and
// id are given, from before a commit where one is given (0 for all). At most
// limit, 1 to 1000.
func (r *Registry) Changes(ctx context.Context, kind, id string, before uint64, limit int) ([]Change, error) {
	limit = max(1, min(limit, 1000))
	if err := r.follow.Wait(ctx, r.Commit()); err != nil {
		return nil, fmt.Errorf("registry: changes: %w", err)
	}
	rows, err := r.proj.SQL().QueryContext(ctx, `SELECT commit_number, time_ms, actor, reason, kind, object, body FROM change
		WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR object = ?2) AND (?3 = 0 OR commit_number < ?3)
		ORDER BY commit_number DESC, step DESC LIMIT ?4`, kind, id, before, limit)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", r.proj.Wrap("changes", err))
	}
	defer rows.Close()
	out := []Change{}
	for rows.Next() {
		var c Change
		var body string
		if err := rows.Scan(&c.Commit, &c.Time, &c.Actor, &c.Reason, &c.Kind, &c.ID, &body); err != nil {
			return nil, fmt.Errorf("registry: changes: %w", err)
		}
		c.Edit = json.RawMessage(body)
		out = append(out, c)
	}
	return out, r.proj.Wrap("changes", rows.Err())
}
