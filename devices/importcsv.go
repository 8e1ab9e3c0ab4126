package devices

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"quantrac"
)

// Limits of one import.
const (
	maxImportBytes = 16 << 20
	maxImportRows  = 50_000
	maxImportLines = 200 // errors reported; past that the file is another kind of file
)

// LineError is one thing wrong with an import.
type LineError struct {
	Line   int    `json:"line"`             // in the file, from 1
	Column string `json:"column,omitempty"` // as the file heads it
	Value  string `json:"value,omitempty"`  // as it stands there
	Want   string `json:"want,omitempty"`   // what was expected
	// Problem is what is wrong where the cell alone can be read, but not with
	// the rest of the file or the registry.
	Problem string `json:"problem,omitempty"`
}

// String says it in one line.
func (e LineError) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %d", e.Line)
	if e.Column != "" {
		fmt.Fprintf(&b, ", column %q", e.Column)
	}
	if e.Value != "" {
		fmt.Fprintf(&b, ", value %.60q", e.Value)
	}
	if e.Problem != "" {
		return b.String() + ": " + e.Problem
	}
	return b.String() + ": want " + e.Want
}

// ImportCSV reads a list of stations with their devices, properties and
// thresholds, or a list of administrative units (which of the two, its
// headings tell), and brings the registry to it. docs/import.md describes the
// columns.
//
// It is all or nothing, one record of the journal. A blank cell leaves what is
// there, "-" clears it, and nothing is ever deleted because a row is missing;
// importing a file again changes nothing. A device that is new gets a token,
// shown in the report and never again. With dryRun the report says what would
// be done, and nothing is.
//
// Everything wrong with the file is in Report.Errors, line by line, and makes
// an Invalid error.
func ImportCSV(ctx context.Context, r io.Reader, reg *Registry, dryRun bool) (Report, error) {
	t, errs := readTable(r)
	if len(errs) > 0 {
		return Report{DryRun: dryRun, Errors: errs}, importError(errs)
	}
	rep := Report{DryRun: dryRun, Rows: len(t.rows)}
	im := &importer{table: t, rep: &rep, now: reg.o.Clock.Now(), actor: quantrac.PrincipalFrom(ctx).Name}
	commit, err := reg.change(ctx, changeOptions{
		action: "registry.import", reason: fmt.Sprintf("import of %d rows", len(t.rows)), dryRun: dryRun, check: im.check,
	}, im.plan)
	rep.Commit = commit.Number
	if len(rep.Errors) > 0 {
		rep.Items, rep.Tokens = nil, nil
		return rep, importError(rep.Errors)
	}
	if err != nil || dryRun {
		rep.Tokens = nil
	}
	return rep, err
}

func importError(errs []LineError) error {
	more := ""
	if len(errs) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(errs)-1)
	}
	return quantrac.Errorf(quantrac.Invalid, "import refused, nothing was changed: %s%s", errs[0], more)
}

// table is a file of an import: its headings matched, its cells cleaned.
type table struct {
	defs    []columnDef
	units   bool // a list of administrative units
	heading map[column]string
	rows    []row
}

// row is one line: the cells that are not blank.
type row struct {
	line  int
	cells map[column]string
}

// readTable reads a whole CSV file; the separator is found from its first
// line.
func readTable(r io.Reader) (*table, []LineError) {
	data, err := io.ReadAll(io.LimitReader(r, maxImportBytes+1))
	switch {
	case err != nil:
		return nil, []LineError{{Line: 1, Want: "a file that can be read: " + err.Error()}}
	case len(data) > maxImportBytes:
		return nil, []LineError{{Line: 1, Want: fmt.Sprintf("at most %d MiB", maxImportBytes>>20)}}
	}
	if line := badText(data); line > 0 {
		return nil, []LineError{{Line: line, Want: "UTF-8 text: in a spreadsheet, save as “CSV UTF-8”"}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	rd := csv.NewReader(bytes.NewReader(data))
	rd.Comma, rd.FieldsPerRecord = separator(data), -1
	head, err := rd.Read()
	if err == nil && len(head) <= 2 && strings.HasPrefix(head[0], "sep=") { // Excel's own hint
		head, err = rd.Read()
	}
	if err != nil {
		return nil, []LineError{csvError(err, "a first line of headings")}
	}
	t := &table{defs: stationColumns, heading: map[column]string{}}
	if !slices.ContainsFunc(head, func(h string) bool { return stationColumns[0].named(fold(h)) }) &&
		slices.ContainsFunc(head, func(h string) bool { return unitColumns[0].named(fold(h)) }) {
		t.defs, t.units = unitColumns, true
	}
	cols, errs := matchHeader(head, t.defs)
	for i, c := range cols {
		t.heading[c] = cleanCell(head[i])
	}
	if len(errs) == 0 && !slices.Contains(cols, t.defs[0].name) {
		errs = append(errs, LineError{Line: 1, Want: fmt.Sprintf("a heading %q (mã trạm), or %q (mã) for a list of administrative units",
			stationColumns[0].name, unitColumns[0].name)})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return t, t.readRows(rd, cols)
}

// badText returns the line of the first byte that is not UTF-8 text, 0 where
// there is none.
func badText(data []byte) int {
	at := bytes.IndexByte(data, 0)
	for i := 0; i < len(data) && at != i; {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			at = i
			break
		}
		i += n
	}
	if at < 0 {
		return 0
	}
	return 1 + bytes.Count(data[:at], []byte("\n"))
}

// separator finds what separates the headings.
func separator(data []byte) rune {
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	if hint, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("sep=")); ok {
		if len(hint) == 1 && strings.ContainsRune(",;\t", rune(hint[0])) {
			return rune(hint[0])
		}
		line, _, _ = bytes.Cut(rest, []byte("\n"))
	}
	best, most := ',', 0
	for _, sep := range ",;\t" {
		if n := bytes.Count(line, []byte(string(sep))); n > most {
			best, most = sep, n
		}
	}
	return best
}

func csvError(err error, want string) LineError {
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		return LineError{Line: pe.Line, Want: "well-formed CSV: " + pe.Err.Error()}
	}
	return LineError{Line: 1, Want: want}
}

func (t *table) readRows(rd *csv.Reader, cols []column) (errs []LineError) {
	for len(errs) < maxImportLines {
		cells, err := rd.Read()
		if err == io.EOF {
			return errs
		}
		if err != nil {
			return append(errs, csvError(err, "a readable line"))
		}
		line, _ := rd.FieldPos(0)
		if len(t.rows) == maxImportRows {
			return append(errs, LineError{Line: line, Want: fmt.Sprintf("at most %d rows", maxImportRows)})
		}
		r := row{line: line, cells: make(map[column]string, len(cells))}
		for i, cell := range cells {
			if cell = cleanCell(cell); cell == "" {
				continue
			}
			if i >= len(cols) {
				errs = append(errs, LineError{Line: line, Value: cell, Want: fmt.Sprintf(
					"%d cells, as there are headings: a cell that holds the separator (a decimal comma, say) must stand in quotes", len(cols))})
				break
			}
			if cols[i] != "" {
				r.cells[cols[i]] = cell
			}
		}
		if len(r.cells) > 0 {
			t.rows = append(t.rows, r)
		}
	}
	return errs
}
