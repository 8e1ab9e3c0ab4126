package forecast

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"quantrac"
	"quantrac/internal/journal"
)

// archive makes a run durable and gives it its number.
func (f *Forecaster) archive(ctx context.Context, run *Run) error {
	data, err := encodeRun(run)
	if err != nil {
		return fmt.Errorf("forecast: encoding a run: %w", err)
	}
	commits, err := f.journal.Append(ctx, journal.Record{Kind: quantrac.RecordRun, Data: data})
	if err != nil {
		return fmt.Errorf("forecast: archiving a run: %w", err)
	}
	run.ID, run.Committed = commits[0].Number, commits[0].Time
	if f.running.Load() {
		err = f.proj.Wait(ctx, run.ID)
	} else {
		err = f.proj.CatchUp(ctx, f.journal)
	}
	if err != nil {
		return fmt.Errorf("forecast: archiving run %d: %w", run.ID, err)
	}
	return nil
}

// unchanged returns the newest archived run of a model where a new one of the
// same issue time says the very same of the same inputs, as when a reading was
// sent again; else nil.
func (f *Forecaster) unchanged(ctx context.Context, run *Run) *Run {
	old, err := f.newest(ctx, &run.Config)
	if err != nil {
		return nil
	}
	a, b := *run, *old
	b.ID, b.Committed, b.Known, b.Reason = 0, 0, a.Known, a.Reason
	one, err1 := encodeRun(&a)
	two, err2 := encodeRun(&b)
	if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
		return nil
	}
	return old
}

// apply puts a run's record into the tables.
func apply(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	r, err := decodeRun(e.Data)
	if err != nil {
		return fmt.Errorf("commit %d: %w", e.Number, err)
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO runs (id, committed, station, property, sensor, model, issue, fallback, record, first)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NOT EXISTS (
			SELECT 1 FROM runs WHERE station = ?3 AND property = ?4 AND sensor = ?5 AND model = ?6 AND issue = ?7))`,
		int64(e.Number), int64(e.Time), r.Config.Station, r.Config.Property, r.Config.Sensor, r.Config.Model,
		int64(r.Issue), r.Fallback != "", e.Data)
	return err
}

// Filter says which runs are wanted. The zero value of every field but Station
// and Property wants all.
type Filter struct {
	Station, Property string
	Sensor            *string         // nil: any
	Model             string          // "": any
	From, To          quantrac.Millis // issue times, both inclusive; 0, 0 for all
	AsOf              quantrac.Millis // archived by then; 0 is now
	FirstOnly         bool            // of the runs of one issue time only the first
	Limit             int             // newest first; 0 is 100, at most 10000
}

// query returns the clauses of a filter.
func (q *Filter) query() (string, []any) {
	text := " WHERE station = ? AND property = ?"
	args := []any{q.Station, q.Property}
	and := func(clause string, arg any) {
		text += " AND " + clause
		args = append(args, arg)
	}
	if q.Sensor != nil {
		and("sensor = ?", *q.Sensor)
	}
	if q.Model != "" {
		and("model = ?", q.Model)
	}
	if q.From != 0 || q.To != 0 {
		and("issue >= ?", int64(q.From))
		and("issue <= ?", int64(q.To))
	}
	if q.AsOf != 0 {
		and("committed <= ?", int64(q.AsOf))
	}
	if q.FirstOnly {
		and("first = ?", 1)
	}
	return text, args
}

// each calls fn with the runs that pass, newest issue first and of one issue
// the newest run first.
func (f *Forecaster) each(ctx context.Context, q Filter, fn func(*Run) error) error {
	where, args := q.query()
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	rows, err := f.proj.SQL().QueryContext(ctx, "SELECT id, committed, record FROM runs"+where+" ORDER BY issue DESC, id DESC LIMIT ?", append(args, min(limit, maxRuns))...)
	if err != nil {
		return fmt.Errorf("forecast: %w", f.proj.Wrap("reading runs", err))
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scan(rows)
		if err == nil {
			err = fn(r)
		}
		if err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("forecast: %w", f.proj.Wrap("reading runs", err))
	}
	return nil
}

// maxRuns bounds one answer.
const maxRuns = 10000

func scan(row interface{ Scan(...any) error }) (*Run, error) {
	var id, committed int64
	var record []byte
	if err := row.Scan(&id, &committed, &record); err != nil {
		return nil, err
	}
	r, err := decodeRun(record)
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", id, err)
	}
	r.ID, r.Committed = uint64(id), quantrac.Millis(committed)
	return r, nil
}

// Runs returns the runs that pass, newest issue first and of one issue the
// newest run first.
func (f *Forecaster) Runs(ctx context.Context, q Filter) ([]*Run, error) {
	var out []*Run
	err := f.each(ctx, q, func(r *Run) error {
		out = append(out, r)
		return nil
	})
	return out, err
}

// Latest returns the newest run of a station's property, of any model: the
// newest run of the newest issue time. It is a NotFound error where there is
// none.
func (f *Forecaster) Latest(ctx context.Context, station, property string) (*Run, error) {
	return f.LatestAsOf(ctx, station, property, 0)
}

// LatestAsOf is Latest by what was archived at a time; 0 is now.
func (f *Forecaster) LatestAsOf(ctx context.Context, station, property string, asOf quantrac.Millis) (*Run, error) {
	runs, err := f.Runs(ctx, Filter{Station: station, Property: property, AsOf: asOf, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, quantrac.Errorf(quantrac.NotFound, "no forecast of %s at %s yet", property, station)
	}
	return runs[0], nil
}

// Get returns an archived run by its number, NotFound where there is none.
func (f *Forecaster) Get(ctx context.Context, id uint64) (*Run, error) {
	r, err := scan(f.proj.SQL().QueryRowContext(ctx, "SELECT id, committed, record FROM runs WHERE id = ?", int64(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, quantrac.Errorf(quantrac.NotFound, "no forecast run %d", id)
	}
	if err != nil {
		return nil, fmt.Errorf("forecast: %w", f.proj.Wrap(fmt.Sprint("reading run ", id), err))
	}
	return r, nil
}
