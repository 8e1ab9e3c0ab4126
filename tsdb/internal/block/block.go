// Package block writes and reads block files: immutable, checksummed, holding
// the rows of many groups of one time partition. FORMAT.md in package tsdb
// describes the bytes.
//
// A Writer takes group after group, and may be given a Clock; a Reader opens a file by its footer, keeps
// the index as its bytes, and reads entries of groups, single chunks, and what
// the values of whole days come to. Whatever is damaged is an error of kind
// Corrupt with path and offset; a file of a later format version is refused as
// such. Only package tsdb imports it.
package block

import (
	"encoding/binary"
	"hash/crc32"
)

// Version of the format that Writer writes. Reader reads it and all before it:
// version 1 has no days, version 2 no packs, version 3 no clock, until version 4
// pages of days were others, version 5 has no numbers told by their rhythm, no
// values that were learnt, and chunks of maxChunkRows at most, and version 6 no commits
// told by their second.
const Version = 7

const (
	magic      = "qtrblock"
	headerSize = 16 // magic, version, zeros
	footerSize = 32 // index offset, index length, index checksum, version, how, magic
	// footerSmall, behind the version, says that the block was written small.
	footerSmall = 1
	// maxChunkRows bounds a chunk, and so what a reader of one value decodes:
	// ten-minute rows of a partition make three chunks of ten days. In a block that
	// is written small a group's rows stay together where they are no more than
	// maxWholeRows and on average wholeApart or more apart, in ms, such as those of
	// every quarter of an hour: each chunk has its models to tell.
	maxChunkRows = 2048
	maxWholeRows = 3072
	wholeApart   = 14 * 60_000
)

// Flags of a chunk.
const (
	// Simple chunks have no time twice and no row of kind Human: their columns
	// are an answer as they stand, if all of their commits count.
	Simple uint8 = 1 << iota
	// Humans says that there are rows of kind Human.
	Humans
)

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Chunk says where some rows of a group are and what is in them.
type Chunk struct {
	Offset               int64
	Size                 uint32 // bytes
	Rows                 uint32
	Of                   uint32 // rows of all groups of a pack, whose chunk it is; 0 where it is none
	Skip                 uint32 // of them before those of the group
	Flags                uint8
	First, Last          int64 // times, ms
	MinCommit, MaxCommit uint64
}

// Group is what a block holds of a group.
type Group struct {
	Properties []string // columns of every chunk, in order
	// First and Last are the times of the first and last cell of each
	// property.
	First, Last []int64
	Chunks      []Chunk // by time
}

// Info sums up a block.
type Info struct {
	Partition            int64 // start, ms
	Rows, Cells          int64
	First, Last          int64 // times, ms
	MinCommit, MaxCommit uint64
	Bytes                int64
	Small                bool // its chunks are as small as they can be
}

func (i *Info) add(c *Chunk, cells int) {
	if i.Rows == 0 {
		i.First, i.Last, i.MinCommit, i.MaxCommit = c.First, c.Last, c.MinCommit, c.MaxCommit
	}
	i.First, i.Last = min(i.First, c.First), max(i.Last, c.Last)
	i.MinCommit, i.MaxCommit = min(i.MinCommit, c.MinCommit), max(i.MaxCommit, c.MaxCommit)
	i.Rows += int64(c.Rows)
	i.Cells += int64(cells)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
