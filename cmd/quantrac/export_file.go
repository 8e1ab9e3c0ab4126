package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"quantrac"
	"quantrac/internal/exchange"
	"quantrac/internal/vfs"
)

// exportFile exports into a file. It is FILE.partial until it is complete and
// durable; FILE.partial.json beside it says how far it is whole, to the next
// noteBytes or noteInterval.
func exportFile(ctx context.Context, from source, q exportQuery, format exchange.Format, path string, resume bool, noteBytes int64) (*exporting, error) {
	p := &partial{path: path, state: exportState{Version: 1, Format: format, Query: q}}
	if err := p.begin(resume && format != exchange.Parquet, q); err != nil {
		return nil, err
	}
	defer p.close()
	commit, labels, err := from.open(ctx, &p.state.Query)
	if err != nil {
		return nil, err
	}
	p.state.Query.Commit = commit
	if p.state.Labels == nil {
		p.state.Labels = labels
	}
	buf := bufio.NewWriterSize(p.f, 256<<10)
	e := &exporting{bytes: p.state.Bytes, values: p.state.Values, series: p.state.Series}
	o := exchange.WriteOptions{LabelNames: p.state.Labels, Revisions: q.Revisions, Continued: p.state.Bytes > 0}
	err = e.run(ctx, from, buf, format, o, func(whole quantrac.Labels) error {
		if format == exchange.Parquet || e.bytes-p.state.Bytes < noteBytes && time.Since(p.noted) < noteInterval {
			return nil
		}
		if err := buf.Flush(); err != nil {
			return err
		}
		p.state.Bytes, p.state.Series, p.state.Values = e.bytes, e.series, e.values
		p.state.Query.After = map[string]string{}
		for _, l := range whole {
			p.state.Query.After[l.Name] = l.Value
		}
		return p.note()
	})
	if err == nil {
		err = buf.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("%w; %s is unfinished: with --resume the same command goes on", err, p.name())
	}
	return e, p.finish()
}

// partial is the file of an export that is not complete.
type partial struct {
	path  string
	state exportState
	f     vfs.File
	noted time.Time
}

func (p *partial) name() string      { return p.path + ".partial" }
func (p *partial) stateName() string { return p.path + ".partial.json" }

// begin opens the file, where it is whole if it is to go on.
func (p *partial) begin(resume bool, q exportQuery) (err error) {
	fsys := vfs.OS()
	p.noted = time.Now()
	text, err := vfs.ReadFile(fsys, p.stateName())
	if errors.Is(err, fs.ErrNotExist) || !resume {
		if err := fsys.Remove(p.stateName()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		p.f, err = fsys.OpenFile(p.name(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		return err
	}
	if err != nil {
		return err
	}
	var was exportState
	if err := json.Unmarshal(text, &was); err != nil {
		return fmt.Errorf("%s: %w; leave out --resume to begin anew", p.stateName(), err)
	}
	if !was.same(p.state.Format, q) {
		return fmt.Errorf("%s is of another export; leave out --resume to begin anew", p.stateName())
	}
	p.state = was
	if p.f, err = fsys.OpenFile(p.name(), os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return err
	}
	if n, err := p.f.Size(); err != nil || n < was.Bytes {
		return errors.Join(fmt.Errorf("%s has %d bytes, fewer than the %d that were whole; leave out --resume to begin anew", p.name(), n, was.Bytes), err, p.f.Close())
	}
	if err := p.f.Truncate(was.Bytes); err != nil {
		return errors.Join(err, p.f.Close())
	}
	return nil
}

// note makes durable how far the file is whole.
func (p *partial) note() error {
	p.noted = time.Now()
	if err := p.f.Sync(); err != nil {
		return err
	}
	text, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	return vfs.WriteFile(vfs.OS(), p.stateName(), append(text, '\n'), 0o600)
}

// finish gives the file its name.
func (p *partial) finish() error {
	fsys := vfs.OS()
	if err := p.f.Sync(); err != nil {
		return err
	}
	if err := p.f.Close(); err != nil {
		return err
	}
	p.f = nil
	if err := fsys.Rename(p.name(), p.path); err != nil {
		return err
	}
	if err := fsys.Remove(p.stateName()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fsys.SyncDir(filepath.Dir(p.path))
}

func (p *partial) close() {
	if p.f != nil {
		_ = p.f.Close() // the export has failed already, and says so
	}
}
