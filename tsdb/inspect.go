package tsdb

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/commits"
	"quantrac/tsdb/internal/files"
	"quantrac/tsdb/internal/rows"
)

// The functions of this file read a store's folder without opening the store:
// it may be in use, damaged, or a copy without its journal. They change nothing.

// FileInfo sums up one file of a store.
type FileInfo struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"` // block or commits
	Bytes int64  `json:"bytes"`

	Groups      int             `json:"groups,omitempty"` // of a block
	Rows        int64           `json:"rows,omitempty"`   // with revisions
	Cells       int64           `json:"cells,omitempty"`
	From        quantrac.Millis `json:"from,omitempty"` // of a block's rows, ms
	To          quantrac.Millis `json:"to,omitempty"`
	FirstCommit uint64          `json:"first_commit"`
	LastCommit  uint64          `json:"last_commit"`

	Error string `json:"error,omitempty"` // what Check found
}

// Folder is the files of a store, as its manifest names them.
type Folder struct {
	fs       vfs.FS
	handles  *files.Set
	dir      string
	manifest manifest
}

// OpenFolder reads the manifest of a store's folder. Errors: NotFound where
// there is none, Corrupt where it is damaged or of a later version.
func OpenFolder(fsys vfs.FS, dir string) (*Folder, error) {
	path := filepath.Join(dir, manifestName)
	data, err := vfs.ReadFile(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, quantrac.Errorf(quantrac.NotFound, "%s is no folder of a store: it has no %s", dir, manifestName)
	}
	if err != nil {
		return nil, quantrac.WithKind(quantrac.Unavailable, err)
	}
	m, err := decodeManifest(data)
	if err != nil {
		return nil, quantrac.Errorf(quantrac.Corrupt, "%s, offset 0: %w", path, err)
	}
	return &Folder{fsys, files.New(fsys, 1), dir, m}, nil
}

// Flushed returns the last commit that is in the files.
func (f *Folder) Flushed() uint64 { return f.manifest.Flushed }

// Bytes returns the size of all files, for showing progress.
func (f *Folder) Bytes() int64 {
	n := int64(0)
	for _, name := range append(append([]string(nil), f.manifest.Blocks...), f.manifest.Commits...) {
		if info, err := f.fs.Stat(filepath.Join(f.dir, name)); err == nil {
			n += info.Size()
		}
	}
	return n
}

// Files describes every file by its index. A file that cannot be opened is
// described by its Error.
func (f *Folder) Files() []FileInfo {
	return f.each(func(*block.Reader) error { return nil }, func(*commits.File) error { return nil })
}

// Check reads every file whole and compares what is said twice: checksums, rows
// and the index, sums of days and the rows behind them. read, if not nil, is
// told how many bytes have been read since it was told last. What is wrong with
// a file is its Error; the context's error ends the check.
func (f *Folder) Check(ctx context.Context, read func(bytes int64)) ([]FileInfo, error) {
	step := func(n int64) error {
		if read != nil {
			read(n)
		}
		return ctx.Err()
	}
	out := f.each(
		func(r *block.Reader) error { return r.Verify(step) },
		func(c *commits.File) error { return errors.Join(c.Verify(), step(c.Size())) },
	)
	return out, ctx.Err()
}

// Sizes is what the parts of a store's blocks take, in bytes.
type Sizes = block.Sizes

// Sizes adds up what the parts of all blocks take.
func (f *Folder) Sizes() (Sizes, error) {
	var s Sizes
	for _, info := range f.each(func(r *block.Reader) error { return r.Sizes(&s) }, func(*commits.File) error { return nil }) {
		if info.Error != "" {
			return s, quantrac.Errorf(quantrac.Corrupt, "%s", info.Error)
		}
	}
	return s, nil
}

// each opens every file, describes it, and has it read.
func (f *Folder) each(readBlock func(*block.Reader) error, readCommits func(*commits.File) error) []FileInfo {
	var out []FileInfo
	add := func(name, kind string, read func(path string, i *FileInfo) error) {
		info := FileInfo{Name: name, Kind: kind}
		err := read(filepath.Join(f.dir, name), &info)
		if errors.Is(err, fs.ErrNotExist) && f.gone(name) {
			return
		}
		if err != nil {
			info.Error = err.Error()
		}
		out = append(out, info)
	}
	for _, name := range f.manifest.Blocks {
		add(name, "block", func(path string, i *FileInfo) error { return f.block(path, i, readBlock) })
	}
	for _, name := range f.manifest.Commits {
		add(name, "commits", func(path string, i *FileInfo) error { return f.commits(path, i, readCommits) })
	}
	return out
}

// gone says whether the store, which may be in use, has let go of a file since
// its manifest was read: it has been merged.
func (f *Folder) gone(name string) bool {
	now, err := OpenFolder(f.fs, f.dir)
	return err == nil && !slices.Contains(now.manifest.Blocks, name) && !slices.Contains(now.manifest.Commits, name)
}

func (f *Folder) block(path string, info *FileInfo, read func(*block.Reader) error) error {
	r, err := block.Open(f.handles, path, func(int, quantrac.Labels, *block.Group) error { return nil })
	if err != nil {
		return err
	}
	in := r.Info()
	info.Bytes, info.Groups, info.Rows, info.Cells = in.Bytes, r.Groups(), in.Rows, in.Cells
	info.From, info.To = quantrac.Millis(in.First), quantrac.Millis(in.Last)
	info.FirstCommit, info.LastCommit = in.MinCommit, in.MaxCommit
	return errors.Join(read(r), r.Close())
}

func (f *Folder) commits(path string, info *FileInfo, read func(*commits.File) error) error {
	c, err := commits.Open(f.handles, path, nil)
	if err != nil {
		return err
	}
	first, last := c.Span()
	info.Bytes, info.FirstCommit, info.LastCommit = c.Size(), first.Number, last.Number
	return errors.Join(read(c), c.Close())
}

// DumpedRow is a row as it is stored, with every revision.
type DumpedRow struct {
	Labels   quantrac.Labels
	Time     quantrac.Millis
	Commit   uint64
	Received quantrac.Millis // 0 unknown
	Kind     string          // reading, human, forecast
	Cells    []quantrac.Cell
}

var kindNames = [...]string{"reading", "human", "forecast"}

// Dump gives every row of every block to show, block by block, group by group,
// in the order of the files. An error of show ends it.
func (f *Folder) Dump(ctx context.Context, show func(file string, r *DumpedRow) error) error {
	for _, name := range f.manifest.Blocks {
		if err := f.dumpBlock(ctx, name, show); err != nil {
			return err
		}
	}
	return nil
}

func (f *Folder) dumpBlock(ctx context.Context, name string, show func(string, *DumpedRow) error) error {
	var labels []quantrac.Labels
	r, err := block.Open(f.handles, filepath.Join(f.dir, name), func(_ int, l quantrac.Labels, _ *block.Group) error {
		labels = append(labels, l)
		return nil
	})
	if err != nil {
		return err
	}
	for i, l := range labels {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, r.Close())
		}
		if err := dumpGroup(r, i, l, func(row *DumpedRow) error { return show(name, row) }); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	return r.Close()
}

func dumpGroup(r *block.Reader, position int, labels quantrac.Labels, show func(*DumpedRow) error) error {
	var g block.Group
	if err := r.Group(position, &g); err != nil {
		return err
	}
	t, err := r.Table(&g)
	if err != nil {
		return err
	}
	for i := range t.Times {
		row := DumpedRow{
			Labels: labels, Time: quantrac.Millis(t.Times[i]), Commit: t.Commits[i],
			Received: quantrac.Millis(t.Received[i]), Kind: kindNames[t.Kinds[i]],
		}
		for c, p := range g.Properties {
			if q := t.Quality(i, c); q != rows.Absent {
				row.Cells = append(row.Cells, quantrac.Cell{Property: p, Value: t.Value(i, c), Quality: quality(q)})
			}
		}
		if err := show(&row); err != nil {
			return err
		}
	}
	return nil
}
