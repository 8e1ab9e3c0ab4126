package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"quantrac"
	"quantrac/internal/exchange"
	"quantrac/internal/vfs"
)

// Rows and values of a batch: a commit of the service, and what a crash repeats.
const (
	batchRows   = 10_000
	batchValues = 40_000
)

// importState is what the file of progress says.
type importState struct {
	Version int        `json:"version"`
	Options string     `json:"options"` // how the files were read
	Inputs  []inputSum `json:"inputs"`  // whole: rows come in an order that follows from them
	Rows    int64      `json:"rows"`    // acknowledged
}

// sending is the second half of an import.
type sending struct {
	in     *incoming
	state  importState
	path   string // of the file of progress, "" for none
	noted  time.Time
	rows   []quantrac.Row
	values int
	body   bytes.Buffer
	sent   importAnswer // summed up
	done   int64        // values sent or skipped
	meter  *meter
}

// send sends the rows, from where an earlier run was interrupted.
func (in *incoming) send(ctx context.Context, out io.Writer, values int64) error {
	s := &sending{in: in, path: in.c.ResumeFile, state: importState{Version: 1, Inputs: in.inputs, Options: in.c.reading()}}
	if s.path == "" && in.c.File[0] != "-" {
		s.path = in.c.File[0] + ".import"
	}
	skip, err := s.resume()
	if err != nil {
		return err
	}
	s.meter = newMeter("import", values, func() string {
		return fmt.Sprintf("%d values, %.0f/s", s.done, s.meter.rate(s.done))
	})
	seen := int64(0)
	err = in.sorter.Rows(func(r *quantrac.Row) error {
		if seen++; seen <= skip {
			s.done += int64(len(r.Cells))
			return nil
		}
		s.rows, s.values = append(s.rows, *r), s.values+len(r.Cells)
		if len(s.rows) < batchRows && s.values < batchValues {
			return nil
		}
		return s.flush(ctx)
	})
	if err == nil {
		err = s.flush(ctx)
	}
	if err != nil {
		if e := s.note(true); e != nil {
			err = errors.Join(err, e)
		} else if s.path != "" {
			err = fmt.Errorf("%w; the same command goes on from here", err)
		}
		return err
	}
	s.meter.done()
	if err := s.forget(); err != nil {
		return err
	}
	return s.summary(out, skip)
}

func (s *sending) summary(out io.Writer, skipped int64) error {
	_, beaten := s.in.sorter.Values()
	text := fmt.Sprintf("%d rows, %d values: %d new, %d known already", s.sent.Rows, s.sent.Values, s.sent.Values-s.sent.Redelivered, s.sent.Redelivered)
	for _, n := range []struct {
		n    int64
		what string
	}{
		{skipped, "rows had been imported before the interruption"}, {beaten, "values beaten by others of the same series and time"},
		{int64(s.sent.Ahead), "failed, as too far in the future"}, {int64(s.sent.Bad), "rows refused by the service"},
	} {
		if n.n > 0 {
			text += fmt.Sprintf("; %d %s", n.n, n.what)
		}
	}
	err := s.in.summary(out, text)
	if s.sent.Bad > 0 {
		err = errors.Join(err, fmt.Errorf("the service refused %d rows; all others were imported", s.sent.Bad))
	}
	return err
}

// reading says how the files are read, for the file of progress.
func (c *importCmd) reading() string {
	text, _ := json.Marshal([]any{c.Format, c.Column, c.Ignore, c.Metric, c.Label, c.MaxLine}) // texts always marshal
	return string(text)
}

// resume returns how many rows an earlier run has brought in.
func (s *sending) resume() (rows int64, err error) {
	if s.path == "" {
		return 0, nil
	}
	text, err := vfs.ReadFile(vfs.OS(), s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var was importState
	same := func(a, b inputSum) bool { return a.Bytes == b.Bytes && a.SHA256 == b.SHA256 }
	if err := json.Unmarshal(text, &was); err != nil {
		return 0, fmt.Errorf("%s: %w; remove it to begin anew", s.path, err)
	}
	if was.Version != s.state.Version || was.Options != s.state.Options || !slices.EqualFunc(was.Inputs, s.state.Inputs, same) {
		return 0, fmt.Errorf("%s is of an import of other files, or read in another way; remove it to begin anew", s.path)
	}
	s.state.Rows = was.Rows
	return was.Rows, nil
}

// note writes down how far the import has come, once in a while: what is sent
// again changes nothing.
func (s *sending) note(now bool) error {
	if s.path == "" || !now && time.Since(s.noted) < time.Second {
		return nil
	}
	s.noted = time.Now()
	text, err := json.Marshal(s.state)
	if err != nil {
		return err
	}
	err = vfs.WriteFile(vfs.OS(), s.path, append(text, '\n'), 0o600)
	if err != nil && s.in.c.ResumeFile == "" {
		s.in.log.Warn("how far the import has come cannot be noted; interrupted, it would begin anew, which does no harm (--resume-file says where else)", "error", err)
		s.path, err = "", nil
	}
	return err
}

func (s *sending) forget() error {
	if s.path == "" {
		return nil
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// flush sends a batch and waits for its acknowledgement.
func (s *sending) flush(ctx context.Context) error {
	if len(s.rows) == 0 {
		return nil
	}
	if err := s.encode(); err != nil {
		return err
	}
	answer, err := s.post(ctx)
	if err != nil {
		return err
	}
	t := &s.sent
	t.Rows, t.Values, t.Redelivered, t.Ahead, t.Bad = t.Rows+answer.Rows, t.Values+answer.Values, t.Redelivered+answer.Redelivered, t.Ahead+answer.Ahead, t.Bad+answer.Bad
	for _, f := range answer.Faults {
		if len(t.Faults) < maxShownFaults {
			t.Faults = append(t.Faults, f)
			fmt.Fprintf(os.Stderr, "refused: %s\n", f.Reason)
		}
	}
	s.state.Rows += int64(len(s.rows))
	s.done += int64(s.values)
	s.rows, s.values = s.rows[:0], 0
	s.meter.at(s.done)
	return s.note(false)
}

// encode writes the rows at hand as lines, series by series of each group.
func (s *sending) encode() error {
	s.body.Reset()
	w, err := exchange.NewWriter(&s.body, exchange.JSONLines, exchange.WriteOptions{})
	if err != nil {
		return err
	}
	for rest := s.rows; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Group.Equal(rest[0].Group) {
			n++
		}
		if err := encodeGroup(w, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// encodeGroup writes the series of rows of one group.
func encodeGroup(w exchange.Writer, rows []quantrac.Row) error {
	series := map[string]*exchange.Stretch{}
	var order []*exchange.Stretch
	for i := range rows {
		r := &rows[i]
		for _, c := range r.Cells {
			x := series[c.Property]
			if x == nil {
				x = &exchange.Stretch{Labels: r.Group.With(quantrac.LabelMetric, c.Property)}
				series[c.Property], order = x, append(order, x)
			}
			x.Times = append(x.Times, r.Time)
			x.Revisions = append(x.Revisions, quantrac.Revision{Value: c.Value, Quality: c.Quality, Received: r.Received})
		}
	}
	for _, x := range order {
		if err := w.Write(x); err != nil {
			return err
		}
	}
	return nil
}

// post sends the body until it is answered, or the patience is at its end.
func (s *sending) post(ctx context.Context) (answer importAnswer, err error) {
	path := "/api/data/import?format=jsonl"
	if s.in.c.Strict {
		path += "&strict=true"
	}
	until, wait := time.Now().Add(s.in.c.Patience), 250*time.Millisecond
	for {
		text, err := s.in.c.call(ctx, http.MethodPost, path, "application/jsonl", bytes.NewReader(s.body.Bytes()))
		if err == nil || refusedRows(err, text, &answer) {
			if e := json.Unmarshal(text, &answer); e != nil {
				return answer, fmt.Errorf("the service's answer: %w", e)
			}
			if s.in.c.Strict && answer.Bad > 0 {
				return answer, fmt.Errorf("refused: %s", answer.Faults[0].Reason)
			}
			return answer, nil
		}
		if ctx.Err() != nil {
			return answer, errors.New("interrupted")
		}
		if !passes(err) || time.Now().Add(wait).After(until) {
			return answer, err
		}
		s.in.log.Warn("the service does not take it now; trying again", "error", err, "in", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, 10*time.Second)
	}
}

// refusedRows says whether an error is an answer about rows, none of which were
// taken.
func refusedRows(err error, text []byte, answer *importAnswer) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusBadRequest && json.Unmarshal(text, answer) == nil && answer.Bad > 0
}

// passes says whether an error may pass: the service is away, or busy.
func passes(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.code == http.StatusServiceUnavailable || status.code == http.StatusBadGateway || status.code == http.StatusGatewayTimeout
	}
	var broken net.Error
	return errors.As(err, &broken) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
