package accounts

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"quantrac"
)

// writeRecord brings the tables to the state after a record.
func writeRecord(ctx context.Context, tx *sql.Tx, c quantrac.Commit, r *record) error {
	for i := range r.Edits {
		query, args, err := statement(c, &r.Edits[i])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("edit %d: %w", i, err)
		}
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM session WHERE expires_ms <= ?`, c.Time)
	return err
}

func statement(c quantrac.Commit, e *edit) (query string, args []any, err error) {
	switch {
	case e.Account != nil:
		a := e.Account
		stations, err := json.Marshal(a.Stations)
		return `INSERT INTO account VALUES (?,?,?,?,?,'',?,0) ON CONFLICT (name) DO UPDATE SET display = excluded.display,
			role = excluded.role, stations = excluded.stations, disabled = excluded.disabled, revision = excluded.revision`,
			[]any{a.Name, a.Display, a.Role, string(stations), a.Disabled, c.Number}, err
	case e.Password != nil:
		return `UPDATE account SET password = ?1, signed_out = CASE WHEN ?2 THEN signed_out ELSE ?3 END WHERE name = ?4`,
			[]any{e.Password.Hash, e.Password.Keep, c.Number, e.Password.Name}, nil
	case e.Begin != nil:
		b := e.Begin
		return `INSERT OR REPLACE INTO session VALUES (?,?,?,?,?,?)`, []any{b.Hash, b.Account, b.Created, b.Expires, b.Ends, c.Number}, nil
	case e.Renew != nil:
		return `UPDATE session SET expires_ms = ? WHERE sha256 = ?`, []any{e.Renew.Expires, e.Renew.Hash}, nil
	case e.End != nil:
		return `DELETE FROM session WHERE sha256 = ?`, []any{e.End}, nil
	case e.Token != nil:
		t := e.Token
		stations, err := json.Marshal(t.Stations)
		return `INSERT OR REPLACE INTO api_token VALUES (?,?,?,?,?,?,?,?)`,
			[]any{t.ID, t.Hash, t.Name, t.Role, string(stations), t.Created, t.By, t.Expires}, err
	default:
		return `DELETE FROM api_token WHERE id = ?`, []any{e.RevokeToken}, nil
	}
}

// load reads the tables into memory.
func (s *Store) load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, step := range []struct {
		query string
		scan  func(*sql.Rows) error
	}{
		{`SELECT name, display, role, stations, disabled, password, revision, signed_out FROM account`, s.loadAccount},
		{`SELECT sha256, account, created_ms, expires_ms, ends_ms, revision FROM session`, s.loadSession},
		{`SELECT id, sha256, name, role, stations, created_ms, created_by, expires_ms FROM api_token`, s.loadToken},
	} {
		if err := s.each(ctx, step.query, step.scan); err != nil {
			return fmt.Errorf("load tables: %w", err)
		}
	}
	return nil
}

func (s *Store) each(ctx context.Context, query string, scan func(*sql.Rows) error) error {
	rows, err := s.proj.SQL().QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *Store) loadAccount(r *sql.Rows) error {
	a, stations := &account{}, ""
	err := r.Scan(&a.Name, &a.Display, &a.Role, &stations, &a.Disabled, &a.password, &a.Revision, &a.signedOut)
	if err == nil {
		err = json.Unmarshal([]byte(stations), &a.Stations)
	}
	s.accounts[a.Name] = a
	return err
}

func (s *Store) loadSession(r *sql.Rows) error {
	x, hash := &session{}, []byte(nil)
	if err := r.Scan(&hash, &x.account, &x.created, &x.expires, &x.end, &x.revision); err != nil {
		return err
	}
	if len(hash) != 32 {
		return quantrac.Errorf(quantrac.Corrupt, "session of %s has a hash of %d bytes", x.account, len(hash))
	}
	s.sessions[[32]byte(hash)] = x
	return nil
}

func (s *Store) loadToken(r *sql.Rows) error {
	t, hash, stations := &Token{}, []byte(nil), ""
	if err := r.Scan(&t.ID, &hash, &t.Name, &t.Role, &stations, &t.Created, &t.By, &t.Expires); err != nil {
		return err
	}
	if len(hash) != 32 {
		return quantrac.Errorf(quantrac.Corrupt, "token %s has a hash of %d bytes", t.ID, len(hash))
	}
	s.tokens[[32]byte(hash)] = t
	return json.Unmarshal([]byte(stations), &t.Stations)
}
