package devices

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"quantrac"
)

// loadState reads the whole registry from its tables.
func loadState(ctx context.Context, db *sql.DB) (*state, error) {
	l := &loader{ctx: ctx, db: db, s: newState()}
	if err := db.QueryRowContext(ctx, `SELECT coalesce(max(commit_number), 0) FROM change`).Scan(&l.s.commit); err != nil {
		return nil, fmt.Errorf("load registry: %w", err)
	}
	for _, step := range []struct {
		table string
		load  func() error
	}{
		{"unit", l.units}, {"station", l.stations}, {"station_facts", l.facts}, {"property", l.properties},
		{"threshold", l.thresholds}, {"device", l.devices}, {"device_token", l.tokens}, {"authority", l.authorities},
	} {
		if err := step.load(); err != nil {
			return nil, fmt.Errorf("load registry table %s: %w", step.table, err)
		}
	}
	for _, st := range l.s.stations {
		st.derive(l.s.units)
	}
	for _, d := range l.s.devices {
		d.binding = bind(&d.Device, l.s.stations[d.Station])
	}
	l.s.order = slices.Sorted(maps.Keys(l.s.stations))
	return l.s, nil
}

type loader struct {
	ctx context.Context
	db  *sql.DB
	s   *state
}

// each runs a query and hands its rows to scan.
func (l *loader) each(query string, scan func(*sql.Rows) error) error {
	rows, err := l.db.QueryContext(l.ctx, query)
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

func (l *loader) station(id string) (*station, error) {
	st := l.s.stations[id]
	if st == nil {
		return nil, quantrac.Errorf(quantrac.Corrupt, "row of station %q, which is not there", id)
	}
	return st, nil
}

func (l *loader) units() error {
	return l.each(`SELECT code, valid_from_ms, valid_to_ms, name, level, parent, revision FROM unit ORDER BY code, valid_from_ms`,
		func(r *sql.Rows) error {
			var u Unit
			err := r.Scan(&u.Code, &u.ValidFrom, &u.ValidTo, &u.Name, &u.Level, &u.Parent, &u.Revision)
			l.s.units[u.Code] = append(l.s.units[u.Code], u)
			return err
		})
}

func (l *loader) stations() error {
	return l.each(`SELECT id, family, lat, lon, installed_ms, closed_ms, simulated, upstream, revision FROM station`,
		func(r *sql.Rows) error {
			st, upstream := &station{}, ""
			err := r.Scan(&st.ID, &st.Family, &st.Lat, &st.Lon, &st.Installed, &st.Closed, &st.Simulated, &upstream, &st.Revision)
			if upstream != "" {
				st.Upstream = strings.Fields(upstream)
			}
			l.s.stations[st.ID] = st
			return err
		})
}

func (l *loader) facts() error {
	return l.each(`SELECT station, valid_from_ms, name, name_en, river, commune_code, commune_at_ms, district, operator
		FROM station_facts ORDER BY station, valid_from_ms`,
		func(r *sql.Rows) error {
			var f Facts
			var id string
			if err := r.Scan(&id, &f.ValidFrom, &f.Name, &f.NameEn, &f.River, &f.Commune, &f.CommuneAt, &f.District, &f.Operator); err != nil {
				return err
			}
			st, err := l.station(id)
			if err == nil {
				st.Facts = append(st.Facts, f)
			}
			return err
		})
}

func (l *loader) properties() error {
	return l.each(`SELECT station, name, unit, interval_ms, min, max, suspect_min, suspect_max, spike_limit, rate_limit,
		flat_for_ms, flat_epsilon, decimals, fault_values, human_name, human_name_en, non_negative, cumulative, trend_epsilon, revision
		FROM property ORDER BY station, name`,
		func(r *sql.Rows) error {
			var p Property
			var interval, flat int64
			var faults string
			var limits [6]sql.NullFloat64
			err := r.Scan(&p.Station, &p.Name, &p.Unit, &interval,
				&limits[0], &limits[1], &limits[2], &limits[3], &limits[4], &limits[5],
				&flat, &p.FlatEpsilon, &p.Decimals, &faults, &p.HumanName, &p.HumanNameEn, &p.NonNegative, &p.Cumulative,
				&p.TrendEpsilon, &p.Revision)
			if err != nil {
				return err
			}
			p.Interval, p.FlatFor = millis(interval), millis(flat)
			for i, to := range []*float64{&p.Min, &p.Max, &p.SuspectMin, &p.SuspectMax, &p.SpikeLimit, &p.RateLimit} {
				if *to = limitIn(nil); limits[i].Valid {
					*to = limits[i].Float64
				}
			}
			if p.FaultValues, err = splitFloats(faults); err != nil {
				return quantrac.Errorf(quantrac.Corrupt, "fault values of %s at %s: %w", p.Name, p.Station, err)
			}
			st, err := l.station(p.Station)
			if err == nil {
				st.properties = append(st.properties, p)
			}
			return err
		})
}

func (l *loader) thresholds() error {
	return l.each(`SELECT id, station, property, kind, level, value, unit, hysteresis, hold_ms, legal_basis, valid_from_ms, valid_to_ms,
		entered_by, revision FROM threshold ORDER BY id`,
		func(r *sql.Rows) error {
			var t Threshold
			var hold int64
			err := r.Scan(&t.ID, &t.Station, &t.Property, &t.Kind, &t.Level, &t.Value, &t.Unit, &t.Hysteresis, &hold, &t.LegalBasis,
				&t.ValidFrom, &t.ValidTo, &t.EnteredBy, &t.Revision)
			if err != nil {
				return err
			}
			t.Hold = millis(hold)
			t.ValidFrom, t.ValidTo = boundIn(t.ValidFrom, quantrac.MinMillis), boundIn(t.ValidTo, quantrac.MaxMillis)
			st, err := l.station(t.Station)
			if err == nil {
				st.thresholds = append(st.thresholds, t)
			}
			return err
		})
}

func (l *loader) devices() error {
	return l.each(`SELECT id, station, sensor, labels, disabled, note, revision FROM device ORDER BY id`,
		func(r *sql.Rows) error {
			d, labels := &device{}, ""
			if err := r.Scan(&d.ID, &d.Station, &d.Sensor, &labels, &d.Disabled, &d.Note, &d.Revision); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(labels), &d.Labels); err != nil {
				return quantrac.Errorf(quantrac.Corrupt, "labels of device %s: %w", d.ID, err)
			}
			l.s.devices[d.ID] = d
			st, err := l.station(d.Station)
			if err == nil {
				st.devices = append(st.devices, d.ID)
			}
			return err
		})
}

func (l *loader) tokens() error {
	return l.each(`SELECT device, id, sha256, created_ms, created_by FROM device_token ORDER BY device, rowid`,
		func(r *sql.Rows) error {
			var t Token
			var id string
			if err := r.Scan(&id, &t.ID, &t.Hash, &t.Created, &t.By); err != nil {
				return err
			}
			d := l.s.devices[id]
			if d == nil {
				return quantrac.Errorf(quantrac.Corrupt, "token of device %q, which is not there", id)
			}
			d.Tokens = append(d.Tokens, t)
			return nil
		})
}

func (l *loader) authorities() error {
	return l.each(`SELECT province, valid_from_ms, valid_to_ms, name, name_en, legal_basis, revision FROM authority ORDER BY province, valid_from_ms`,
		func(r *sql.Rows) error {
			var a Authority
			err := r.Scan(&a.Province, &a.ValidFrom, &a.ValidTo, &a.Name, &a.NameEn, &a.LegalBasis, &a.Revision)
			l.s.authorities = append(l.s.authorities, a)
			return err
		})
}
