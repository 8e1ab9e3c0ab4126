package vfs

import (
	"io/fs"
	"path"
	"time"
)

// node is a file or a directory.
type node struct {
	dir  bool
	mode fs.FileMode

	// Of a file: what readers see, what is on the disk, and the changes made
	// since the last good sync, in order.
	data    []byte
	durable []byte
	changes []change
	links   int // names
	opens   int // handles

	// Of a directory, the same three.
	names        map[string]*node
	durableNames map[string]*node
	nameChanges  []nameChange
}

// change is a write (data at off) or a truncation (data nil, to off bytes) of
// a file.
type change struct {
	off  int64
	data []byte
}

// nameChange sets names of a directory in one step; a nil node removes.
type nameChange map[string]*node

// set applies a change of names to what readers see and remembers it as not
// yet durable.
func (n *node) set(c nameChange) {
	applyNames(n.names, c)
	n.nameChanges = append(n.nameChanges, c)
}

func applyNames(names map[string]*node, c nameChange) {
	for n, to := range c {
		if to == nil {
			delete(names, n)
		} else {
			names[n] = to
		}
	}
}

// sync makes what a node holds durable: a file's bytes or a directory's names.
func (n *node) sync() {
	if n.dir {
		for _, c := range n.nameChanges {
			applyNames(n.durableNames, c)
		}
		n.nameChanges = nil
		return
	}
	for _, c := range n.changes {
		n.durable = c.apply(n.durable)
	}
	n.changes = nil
}

func newDir() *node {
	return &node{dir: true, mode: fs.ModeDir | 0o755, names: map[string]*node{}, durableNames: map[string]*node{}}
}

func (n *node) info(name string) fs.FileInfo {
	return memInfo{name: path.Base(clean(name)), size: int64(len(n.data)), mode: n.mode}
}

type memInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
