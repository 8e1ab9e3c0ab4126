package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"quantrac"
	"quantrac/internal/exchange"
	"quantrac/internal/journal"
	"quantrac/internal/params"
	"quantrac/tsdb"
	"quantrac/tsdb/promql"
)

// remoteSource reads from a running service, as JSON lines whatever the export
// is to be: they say all there is, and where a series ends.
type remoteSource struct {
	remote
	resp *http.Response
	of   int
}

// open implements source.
func (s *remoteSource) open(ctx context.Context, q *exportQuery) (commit uint64, labels []string, err error) {
	v := url.Values{"format": {string(exchange.JSONLines)}, "match[]": q.Match}
	for name, text := range map[string]string{"start": q.Start, "end": q.End, params.AsOfName: q.AsOf} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.Revisions {
		v.Set("revisions", "true")
	}
	if q.Commit != 0 {
		v.Set("commit", strconv.FormatUint(q.Commit, 10))
	}
	if q.After != nil {
		after, err := json.Marshal(q.After)
		if err != nil {
			return 0, nil, err
		}
		v.Set("after", string(after))
	}
	if s.resp, err = s.request(ctx, http.MethodGet, "/api/data/export?"+v.Encode(), "", nil); err != nil {
		return 0, nil, err
	}
	h := s.resp.Header
	if commit, err = strconv.ParseUint(h.Get(headerCommit), 10, 64); err == nil {
		err = json.Unmarshal([]byte(h.Get(headerLabels)), &labels)
	}
	if err == nil {
		s.of, err = strconv.Atoi(h.Get(headerSeries))
	}
	if err != nil {
		return 0, nil, fmt.Errorf("the answer is none of a Quantrac: %w", err)
	}
	return commit, labels, nil
}

// each implements source.
func (s *remoteSource) each(ctx context.Context, show func(*exchange.Stretch, int) error) error {
	in, err := exchange.NewReader(s.resp.Body, exchange.JSONLines, exchange.ReadOptions{})
	if err != nil {
		return err
	}
	var at quantrac.Labels
	left := s.of + 1
	for {
		stretch, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the service broke off: %w", errors.Join(err, ctx.Err()))
		}
		if !stretch.Labels.Equal(at) {
			at, left = stretch.Labels, max(left-1, 1)
		}
		if err := show(stretch, left); err != nil {
			return err
		}
	}
}

// close implements source.
func (s *remoteSource) close() error {
	if s.resp == nil {
		return nil
	}
	return s.resp.Body.Close()
}

// folderSource reads from the data folder of a service that does not run.
type folderSource struct {
	j  *journal.Journal
	db *tsdb.DB
	o  outgoing
}

func openFolderSource(from coldStore, log *slog.Logger) (*folderSource, error) {
	j, db, err := from.open(log)
	if err != nil {
		return nil, err
	}
	return &folderSource{j: j, db: db}, nil
}

// open implements source.
func (s *folderSource) open(ctx context.Context, q *exportQuery) (commit uint64, labels []string, err error) {
	v := url.Values{"start": {q.Start}, "end": {q.End}, params.AsOfName: {q.AsOf}}
	s.o = outgoing{db: s.db, commit: q.Commit, every: q.Revisions}
	if s.o.commit == 0 {
		s.o.commit = s.db.Stats().Applied
	}
	if q.After != nil {
		s.o.after = quantrac.LabelsFromMap(q.After)
	}
	if s.o.from, err = params.Time(v, "start", quantrac.MinMillis); err != nil {
		return 0, nil, err
	}
	if s.o.to, err = params.Time(v, "end", quantrac.MaxMillis); err != nil {
		return 0, nil, err
	}
	asOf, err := params.AsOf(v)
	if err != nil {
		return 0, nil, err
	}
	if s.o.selections, err = promql.New(s.db, nil, promql.Options{}).Selections(q.Match, s.o.to, asOf); err != nil {
		return 0, nil, err
	}
	labels, err = s.o.labelNames(ctx)
	return s.o.commit, labels, err
}

// each implements source.
func (s *folderSource) each(ctx context.Context, show func(*exchange.Stretch, int) error) error {
	return s.o.each(ctx, show)
}

// close implements source.
func (s *folderSource) close() error { return errors.Join(s.db.Close(), s.j.Close()) }
