package devices

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"quantrac"
)

// writer writes the edits of one record into the tables, within the
// projection's transaction. Statements are prepared once a record: an import
// runs each of them thousands of times.
type writer struct {
	ctx        context.Context
	tx         *sql.Tx
	commit     quantrac.Commit
	statements map[string]*sql.Stmt
}

func (w *writer) exec(query string, args ...any) error {
	st := w.statements[query]
	if st == nil {
		var err error
		if st, err = w.tx.PrepareContext(w.ctx, query); err != nil {
			return fmt.Errorf("registry tables: prepare %.60q: %w", query, err)
		}
		w.statements[query] = st
	}
	if _, err := st.ExecContext(w.ctx, args...); err != nil {
		return fmt.Errorf("registry tables: %.60q: %w", query, err)
	}
	return nil
}

// writeChange brings the tables to the state after a change.
func writeChange(ctx context.Context, tx *sql.Tx, commit quantrac.Commit, c *change) error {
	w := &writer{ctx, tx, commit, map[string]*sql.Stmt{}}
	defer func() {
		for _, st := range w.statements {
			st.Close() // the transaction closes them in any case
		}
	}()
	for i := range c.Edits {
		if err := w.write(&c.Edits[i]); err != nil {
			return fmt.Errorf("edit %d of commit %d: %w", i, commit.Number, err)
		}
		if err := w.record(c, i); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) record(c *change, i int) error {
	e := c.Edits[i]
	if e.AddToken != nil {
		t := *e.AddToken
		t.Hash, e.AddToken = nil, &t
	}
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("registry tables: change: %w", err)
	}
	kind, id := e.object()
	return w.exec(`INSERT OR REPLACE INTO change VALUES (?,?,?,?,?,?,?,?)`,
		w.commit.Number, i, w.commit.Time, c.Actor, c.Reason, kind, id, string(body))
}

func (w *writer) write(e *edit) error {
	n := w.commit.Number
	switch {
	case e.Unit != nil:
		u := e.Unit
		return w.exec(`INSERT OR REPLACE INTO unit VALUES (?,?,?,?,?,?,?)`,
			u.Code, u.ValidFrom, u.ValidTo, u.Name, u.Level, u.Parent, n)
	case e.Station != nil:
		return w.station(e.Station)
	case e.Property != nil:
		return w.property(e.Property)
	case e.RemoveProperty != nil:
		return w.exec(`DELETE FROM property WHERE station = ? AND name = ?`, e.RemoveProperty.Station, e.RemoveProperty.Property)
	case e.Threshold != nil:
		t := e.Threshold
		return w.exec(`INSERT OR REPLACE INTO threshold VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
			t.ID, t.Station, t.Property, t.Kind, t.Level, t.Value, t.Unit, t.Hysteresis, t.Hold.Milliseconds(), t.LegalBasis,
			boundOut(t.ValidFrom), boundOut(t.ValidTo), t.EnteredBy, n)
	case e.RemoveThreshold != "":
		return w.exec(`DELETE FROM threshold WHERE id = ?`, e.RemoveThreshold)
	case e.Device != nil:
		return w.device(e.Device)
	case e.AddToken != nil:
		t := e.AddToken
		if err := w.exec(`INSERT OR REPLACE INTO device_token VALUES (?,?,?,?,?)`, t.Device, t.ID, t.Hash, t.Created, t.By); err != nil {
			return err
		}
		return w.exec(`UPDATE device SET revision = ? WHERE id = ?`, n, t.Device)
	case e.RevokeToken != nil:
		if err := w.exec(`DELETE FROM device_token WHERE device = ? AND id = ?`, e.RevokeToken.Device, e.RevokeToken.ID); err != nil {
			return err
		}
		return w.exec(`UPDATE device SET revision = ? WHERE id = ?`, n, e.RevokeToken.Device)
	case e.Authority != nil:
		a := e.Authority
		return w.exec(`INSERT OR REPLACE INTO authority VALUES (?,?,?,?,?,?,?)`,
			a.Province, a.ValidFrom, a.ValidTo, a.Name, a.NameEn, a.LegalBasis, n)
	}
	return nil
}

func (w *writer) station(s *Station) error {
	// An upsert, not a replacement: other tables refer to the row.
	err := w.exec(`INSERT INTO station VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET
		family = excluded.family, lat = excluded.lat, lon = excluded.lon, installed_ms = excluded.installed_ms,
		closed_ms = excluded.closed_ms, simulated = excluded.simulated, upstream = excluded.upstream, revision = excluded.revision`,
		s.ID, s.Family, s.Lat, s.Lon, s.Installed, s.Closed, s.Simulated, strings.Join(s.Upstream, " "), w.commit.Number)
	if err != nil {
		return err
	}
	if err := w.exec(`DELETE FROM station_facts WHERE station = ?`, s.ID); err != nil {
		return err
	}
	for _, f := range s.Facts {
		err := w.exec(`INSERT INTO station_facts VALUES (?,?,?,?,?,?,?,?,?)`,
			s.ID, f.ValidFrom, f.Name, f.NameEn, f.River, f.Commune, f.CommuneAt, f.District, f.Operator)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) property(p *Property) error {
	return w.exec(`INSERT OR REPLACE INTO property VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		p.Station, p.Name, p.Unit, p.Interval.Milliseconds(),
		limitOut(p.Min), limitOut(p.Max), limitOut(p.SuspectMin), limitOut(p.SuspectMax), limitOut(p.SpikeLimit), limitOut(p.RateLimit),
		p.FlatFor.Milliseconds(), p.FlatEpsilon, p.Decimals, joinFloats(p.FaultValues), p.HumanName, p.HumanNameEn,
		p.NonNegative, p.Cumulative, p.TrendEpsilon, w.commit.Number)
}

func (w *writer) device(d *Device) error {
	labels, err := json.Marshal(d.Labels)
	if err != nil {
		return fmt.Errorf("registry tables: labels of %s: %w", d.ID, err)
	}
	return w.exec(`INSERT INTO device VALUES (?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET
		station = excluded.station, sensor = excluded.sensor, labels = excluded.labels, disabled = excluded.disabled,
		note = excluded.note, revision = excluded.revision`,
		d.ID, d.Station, d.Sensor, string(labels), d.Disabled, d.Note, w.commit.Number)
}

func joinFloats(vs []float64) string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strings.Join(out, " ")
}

func splitFloats(s string) ([]float64, error) {
	var out []float64
	for _, f := range strings.Fields(s) {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil || math.IsNaN(v) {
			return nil, fmt.Errorf("%q is not a number", f)
		}
		out = append(out, v)
	}
	return out, nil
}
