package devices

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"quantrac"
)

// importer turns the rows of a table into a plan. Rows of one station repeat
// its cells or leave them blank; what is said twice must be said alike.
type importer struct {
	table *table
	rep   *Report
	now   quantrac.Millis
	actor string

	said  map[string]said // object and column → what was said first
	lines map[string]int  // object → the line that speaks of it first
}

type said struct {
	text string
	line int
}

func (im *importer) bad(r *row, c column, want string) {
	im.rep.Errors = append(im.rep.Errors, LineError{Line: r.line, Column: im.table.heading[c], Value: r.cells[c], Want: want})
}

// plan plans the whole file; what cells cannot mean is kept in the report.
func (im *importer) plan(d *draft) {
	im.said, im.lines = map[string]said{}, map[string]int{}
	if im.table.units {
		im.planUnits(d)
	} else {
		im.planStations(d)
	}
}

// check adds what validation found to the report, where the file says it.
func (im *importer) check(d *draft, found Problems) error {
	im.rep.describe(d, im.lines)
	for _, p := range found {
		im.problem(p)
	}
	slices.SortStableFunc(im.rep.Errors, func(a, b LineError) int { return cmp.Compare(a.Line, b.Line) })
	if n := len(im.rep.Errors); n > maxImportLines {
		im.rep.Errors = im.rep.Errors[:maxImportLines]
	}
	if len(im.rep.Errors) > 0 {
		return importError(im.rep.Errors)
	}
	return nil
}

// problem reports what validation found where the file says it.
func (im *importer) problem(p Problem) {
	line := im.lines[p.Kind+" "+p.ID]
	c := columnOf(im.table.defs, p.Kind, p.Field)
	if p.Kind == "threshold" && p.Field == "value" {
		c = im.levelColumn(p.ID)
	}
	e := LineError{Line: max(1, line), Column: im.table.heading[c], Problem: p.String()}
	// A cell that could not be read has left a hole; what follows from that is
	// no news.
	told := slices.ContainsFunc(im.rep.Errors, func(o LineError) bool { return o.Line == e.Line && o.Column == e.Column })
	if !told {
		im.rep.Errors = append(im.rep.Errors, e)
	}
}

func (im *importer) levelColumn(id string) column {
	if parts := strings.Split(id, ":"); len(parts) > 3 {
		return column("level" + parts[3])
	}
	return "level1"
}

// cell returns what a row says of an object: "" for nothing. An object that
// another line speaks of differently is an error.
func (im *importer) cell(r *row, c column, object string) string {
	text := r.cells[c]
	if text == "" {
		return ""
	}
	key := object + "\x00" + string(c)
	first, again := im.said[key]
	if !again {
		im.said[key] = said{text, r.line}
		return text
	}
	if first.text != text {
		im.bad(r, c, fmt.Sprintf("%q, as line %d says, or a blank cell", first.text, first.line))
		return ""
	}
	return text
}

// cleared is what a cell says to clear a value.
const cleared = "-"

// into reads a cell into a field by a parser: blank leaves it, "-" clears it.
func into[T any](im *importer, r *row, c column, object string, field *T, none T, parse func(string) (T, error)) {
	text := im.cell(r, c, object)
	switch text {
	case "":
	case cleared:
		*field = none
	default:
		v, err := parse(text)
		if err != nil {
			im.bad(r, c, err.Error())
			return
		}
		*field = v
	}
}

func parseText(s string) (string, error) { return s, nil }

func (im *importer) planUnits(d *draft) {
	times := map[string]int{}
	for i := range im.table.rows {
		r := &im.table.rows[i]
		row := fmt.Sprint("row ", r.line)
		u := Unit{Code: r.cells["code"]}
		if u.Code == "" {
			im.bad(r, "code", "a code in every row")
			continue
		}
		if times[u.Code]++; times[u.Code] > maxFacts {
			im.bad(r, "code", fmt.Sprintf("at most %d validities of one code", maxFacts))
			return
		}
		into(im, r, "valid_from", row, &u.ValidFrom, 0, parseDate)
		object := "unit " + u.key()
		if line, twice := im.lines[object]; twice {
			im.bad(r, "code", fmt.Sprintf("a code once for each validity; line %d has it too", line))
			continue
		}
		im.lines[object] = r.line
		for _, o := range d.units[u.Code] {
			if o.ValidFrom == u.ValidFrom {
				u = o
				u.Revision = 0
			}
		}
		into(im, r, "valid_to", row, &u.ValidTo, 0, parseDate)
		into(im, r, "name", row, &u.Name, "", parseText)
		into(im, r, "level", row, &u.Level, "", parseLevel)
		into(im, r, "parent", row, &u.Parent, "", parseText)
		u.Level = cmp.Or(u.Level, Commune)
		d.planUnit(u)
	}
}

func (im *importer) planStations(d *draft) {
	groups := map[string][]*row{}
	var order []string
	for i := range im.table.rows {
		r := &im.table.rows[i]
		id := r.cells["station"]
		if id == "" {
			im.bad(r, "station", "a station's id in every row")
			continue
		}
		if !ValidID(id) {
			im.bad(r, "station", wantID[len("want "):])
			continue
		}
		if groups[id] == nil {
			order = append(order, id)
		}
		if len(groups[id]) == maxPerStation {
			im.bad(r, "station", fmt.Sprintf("at most %d rows of one station", maxPerStation))
			return
		}
		groups[id] = append(groups[id], r)
	}
	// Stations first, all of them: a row may name one further down as lying
	// upstream.
	for _, id := range order {
		im.planStation(d, id, groups[id])
	}
	for _, id := range order {
		im.planProperties(d, id, groups[id])
		im.planDevices(d, id, groups[id])
	}
}

func (im *importer) planStation(d *draft, id string, rows []*row) {
	object := "station " + id
	im.lines[object] = rows[0].line
	s := Station{ID: id}
	if old := d.stations[id]; old != nil {
		s = old.Station
		s.Revision, s.Facts = 0, slices.Clone(s.Facts)
	}
	for _, r := range rows {
		into(im, r, "family", object, &s.Family, "", parseFamily)
		into(im, r, "lat", object, &s.Lat, 0, parseNumber)
		into(im, r, "lon", object, &s.Lon, 0, parseNumber)
		into(im, r, "installed", object, &s.Installed, 0, parseDate)
		into(im, r, "closed", object, &s.Closed, 0, parseDate)
		into(im, r, "simulated", object, &s.Simulated, false, parseBool)
		into(im, r, "upstream", object, &s.Upstream, nil, parseIDs)
		im.facts(r, &s)
	}
	if len(s.Facts) == 0 {
		s.Facts = []Facts{{}} // validation says what is missing
	}
	d.planStation(s, im.now)
}

var factColumns = []column{"name", "name_en", "river", "commune_code", "district", "operator"}

// facts overlays a row's dated facts. With valid_from they are those that
// begin then, starting as a copy of what holds before; without it they are
// the station's first.
func (im *importer) facts(r *row, s *Station) {
	if !slices.ContainsFunc(factColumns, func(c column) bool { return r.cells[c] != "" }) {
		return
	}
	var from quantrac.Millis
	into(im, r, "valid_from", fmt.Sprint("row ", r.line), &from, 0, parseDate)
	f, begun := factsAt(s, from, r.cells["valid_from"] == "")
	object := fmt.Sprintf("facts %s %d", s.ID, f.ValidFrom)
	before := f.Commune
	into(im, r, "name", object, &f.Name, "", parseText)
	into(im, r, "name_en", object, &f.NameEn, "", parseText)
	into(im, r, "river", object, &f.River, "", parseText)
	into(im, r, "commune_code", object, &f.Commune, "", parseText)
	into(im, r, "district", object, &f.District, "", parseText)
	into(im, r, "operator", object, &f.Operator, "", parseText)
	if f.Commune != before || begun && r.cells["commune_code"] != "" {
		f.CommuneAt = 0 // a code is read in the list of its own time, also one that has stayed
	}
}

// factsAt returns the facts of a station that begin at an instant, new ones
// where there are none; the first ones where the row gives no instant.
func factsAt(s *Station, from quantrac.Millis, undated bool) (f *Facts, begun bool) {
	if undated && len(s.Facts) > 0 {
		return &s.Facts[0], false
	}
	at, found := slices.BinarySearchFunc(s.Facts, from, func(f Facts, t quantrac.Millis) int { return cmp.Compare(f.ValidFrom, t) })
	if !found {
		f := Facts{}
		if at > 0 {
			f = s.Facts[at-1]
		}
		f.ValidFrom = from
		s.Facts = slices.Insert(s.Facts, at, f)
	}
	return &s.Facts[at], !found
}

func parseIDs(s string) ([]string, error) {
	ids := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" |,;+", r) })
	for _, id := range ids {
		if !ValidID(id) {
			return nil, fmt.Errorf("ids of stations, separated by blanks")
		}
	}
	return ids, nil
}
