package vfs

import (
	"maps"
	"math/rand/v2"
)

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// Crash returns the file system that would be found after a power failure at
// this moment; the receiver is left as it is, its handles too. What was synced
// is there. Of what was not:
//
//   - seed 0: nothing is there, neither bytes nor names.
//   - any other seed decides at random, the same seed the same way: each
//     change of a directory got out or not; of each file all, none, or a part
//     of the changes got out, in any order, each whole, cut short, or sector by
//     sector.
func (m *Mem) Crash(seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := crasher{done: map[*node]*node{}}
	if seed != 0 {
		c.rnd = rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	}
	out := NewMem()
	out.capacity, out.handles = m.capacity, m.handles
	out.root = c.node(m.root)
	seen := map[*node]bool{}
	out.recount(out.root, seen)
	return out
}

// recount counts names and bytes anew.
func (m *Mem) recount(n *node, seen map[*node]bool) {
	if n.dir {
		for _, name := range sortedNames(n.names) {
			m.recount(n.names[name], seen)
		}
		return
	}
	n.links++
	if !seen[n] {
		seen[n] = true
		m.used += int64(len(n.data))
	}
}

type crasher struct {
	rnd  *rand.Rand // nil: nothing unsynced survives
	done map[*node]*node
}

// node returns what is left of a node.
func (c *crasher) node(n *node) *node {
	if out := c.done[n]; out != nil {
		return out
	}
	out := &node{dir: n.dir, mode: n.mode}
	c.done[n] = out
	if n.dir {
		names := maps.Clone(n.durableNames)
		for _, ch := range n.nameChanges {
			if c.rnd != nil && c.rnd.IntN(2) == 0 {
				applyNames(names, ch)
			}
		}
		out.names = make(map[string]*node, len(names))
		for _, name := range sortedNames(names) { // in order, for the seed's sake
			out.names[name] = c.node(names[name])
		}
		out.durableNames = maps.Clone(out.names)
		return out
	}
	out.data = c.content(n)
	out.durable = append([]byte(nil), out.data...)
	return out
}

// content returns the bytes a crash leaves of a file.
func (c *crasher) content(n *node) []byte {
	data := append([]byte(nil), n.durable...)
	if c.rnd == nil || len(n.changes) == 0 {
		return data
	}
	mode := c.rnd.IntN(4)
	if mode == 0 {
		return data // none
	}
	last := len(n.changes)
	if mode == 1 {
		last = c.rnd.IntN(last + 1) // those before some moment, and one in parts
	}
	for i, ch := range n.changes {
		switch {
		case mode == 3 || i < last && mode == 1:
			data = ch.apply(data)
		case i == last:
			data = c.tear(data, ch)
		case mode == 2: // any, in any state
			switch c.rnd.IntN(3) {
			case 0:
				data = ch.apply(data)
			case 1:
				data = c.tear(data, ch)
			}
		}
	}
	return data
}

// tear applies a part of a change: its first bytes, or some of its sectors.
func (c *crasher) tear(data []byte, ch change) []byte {
	if len(ch.data) == 0 {
		return data
	}
	if c.rnd.IntN(2) == 0 {
		return change{ch.off, ch.data[:1+c.rnd.IntN(len(ch.data))]}.apply(data)
	}
	for at := 0; at < len(ch.data); {
		end := at + sector - int((ch.off+int64(at))%sector)
		end = min(end, len(ch.data))
		if c.rnd.IntN(2) == 0 {
			data = change{ch.off + int64(at), ch.data[at:end]}.apply(data)
		}
		at = end
	}
	return data
}
