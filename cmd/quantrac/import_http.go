package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"quantrac"
	"quantrac/collector/influx"
	"quantrac/internal/exchange"
	"quantrac/internal/jsonapi"
	"quantrac/internal/regroup"
)

// Bounds of one import request.
const (
	importBytes  = 32 << 20 // as sent
	importText   = 64 << 20 // unpacked
	importLine   = 16 << 20
	importValues = 200_000
	importFaults = 100 // told one by one
)

// importAnswer says what became of an import request, and is what quantrac
// import reads.
type importAnswer struct {
	Commit      uint64        `json:"commit,omitempty"` // 0 where nothing was stored
	Rows        int           `json:"rows"`             // durable
	Values      int           `json:"values"`           // in them
	Redelivered int           `json:"redelivered"`      // of those, known before: no change
	Collided    int           `json:"collided"`         // beaten by a later one of the same series and time
	Ahead       int           `json:"ahead"`            // failed, as too far in the future
	Left        int           `json:"left"`             // left out, as no readings: null of VictoriaMetrics
	Bad         int           `json:"bad"`              // lines and rows that were not taken
	Faults      []importFault `json:"faults"`           // the first of them
}

type importFault struct {
	Line   int64  `json:"line,omitempty"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

func (a *importAnswer) fault(f importFault) {
	if a.Bad++; len(a.Faults) < importFaults {
		a.Faults = append(a.Faults, f)
	}
}

// imports takes series in: text of a format in the body, packed with gzip or
// zstd if need be. 200 goes out once everything good is durable, as one commit.
func (e *exchanges) imports(w http.ResponseWriter, r *http.Request) {
	format, err := mayImport(r)
	if errors.Is(err, influx.ErrUnauthorized) {
		signIn(w)
		return
	}
	if err != nil {
		jsonapi.Fail(w, err)
		return
	}
	if !turn(w, e.importing) {
		return
	}
	defer func() { <-e.importing }()
	body, done, err := unpacked(http.MaxBytesReader(w, r.Body, importBytes))
	if err != nil {
		jsonapi.BadBody(w, err)
		return
	}
	defer done()
	strict := r.URL.Query().Get("strict") == "true"
	var answer importAnswer
	rows, err := gather(http.MaxBytesReader(w, io.NopCloser(body), importText), format, &answer)
	if err != nil {
		jsonapi.BadBody(w, err)
		return
	}
	if strict && answer.Bad > 0 {
		jsonapi.Write(w, http.StatusBadRequest, answer)
		return
	}
	if err := e.store(r, rows, strict, &answer); err != nil {
		if k := quantrac.KindOf(err); k == quantrac.Busy || k == quantrac.Unavailable {
			w.Header().Set("Retry-After", "2")
		}
		jsonapi.Fail(w, err)
		return
	}
	status := http.StatusOK
	if answer.Bad > 0 && answer.Rows == 0 {
		status = http.StatusBadRequest
	}
	jsonapi.Write(w, status, answer)
}

// mayImport says in which format a request brings something in, if it may.
func mayImport(r *http.Request) (exchange.Format, error) {
	_, err := whoWrites(r)
	if err == nil && quantrac.PrincipalFrom(r.Context()).Role == quantrac.RoleDevice { // its own token, or a gateway's
		err = quantrac.Errorf(quantrac.Denied, "a device sends its readings to /write")
	}
	if err != nil {
		return "", err
	}
	format, err := exchange.ParseFormat(r.URL.Query().Get("format"))
	if err == nil && format == exchange.Parquet {
		err = quantrac.Errorf(quantrac.Invalid, "Parquet is read here and there and not as it comes: quantrac import does it, and sends what it has read")
	}
	return format, err
}

// gather reads text into rows.
func gather(body io.Reader, format exchange.Format, answer *importAnswer) ([]quantrac.Row, error) {
	in, err := exchange.NewReader(body, format, exchange.ReadOptions{MaxLine: importLine})
	if err != nil {
		return nil, err
	}
	s := regroup.New(regroup.Options{Memory: importValues * 40, Greatest: format == exchange.VictoriaMetrics})
	for {
		stretch, err := in.Next()
		if err == io.EOF {
			break
		}
		if f := new(exchange.Fault); errors.As(err, &f) {
			answer.fault(importFault{f.Line, f.Field, f.Reason})
			continue
		}
		if err == nil {
			answer.Left += stretch.Left
			err = s.Add(stretch.Labels, stretch.Times, stretch.Revisions)
		}
		if err != nil {
			return nil, err
		}
	}
	var rows []quantrac.Row
	err = s.Rows(func(r *quantrac.Row) error {
		rows = append(rows, *r)
		return nil
	})
	_, beaten := s.Values()
	answer.Collided = int(beaten)
	return rows, err
}

// store makes rows durable.
func (e *exchanges) store(r *http.Request, rows []quantrac.Row, strict bool, answer *importAnswer) error {
	if len(rows) == 0 {
		return nil
	}
	done, err := e.sys.collector.Import(r.Context(), rows, strict)
	if err != nil {
		return err
	}
	for _, f := range done.Refused {
		row := &rows[f.Row]
		answer.fault(importFault{Reason: fmt.Sprintf("%v at %s: %s", row.Group, row.Time.Time().Format("2006-01-02T15:04:05.000Z"), f.Reason)})
	}
	rc := done.Receipt
	answer.Commit, answer.Rows, answer.Values = rc.Commit.Number, done.Rows, done.Values
	answer.Redelivered, answer.Ahead = rc.Redelivered, rc.Ahead
	answer.Collided += rc.Collisions
	return nil
}

// unpacked reads what may be packed with gzip or zstd, which it sees by the first
// bytes; done gives its memory back.
func unpacked(r io.Reader) (_ io.Reader, done func(), err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case strings.HasPrefix(string(magic), "\x1f\x8b"):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, quantrac.Errorf(quantrac.Invalid, "gzip: %w", err)
		}
		return z, func() {}, nil
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(32<<20))
		if err != nil {
			return nil, nil, quantrac.Errorf(quantrac.Invalid, "zstd: %w", err)
		}
		return z, z.Close, nil
	}
	return b, func() {}, nil
}
