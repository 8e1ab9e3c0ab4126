// Package codec turns the columns of a chunk into bytes and back: whole
// numbers, times, floats, and runs of small codes. It does no I/O and knows
// nothing of files.
//
// Every decoder is given one section, its exact bytes, and the number of values
// that the chunk's header announces; it returns an error on anything else and
// never asks for more memory than that number of values and the phases of a
// rhythm, of which there are few. Encoders are deterministic, and decoding gives back what was encoded bit for bit.
//
// There are two ways to encode and one to decode. AppendInts, AppendTimes and
// AppendFloats are fast; Small takes several times as long and makes the
// smallest sections: predictions fitted to the chunk, residuals coded close to
// their entropy. What it is told of gaps between the values a decoder must be
// told too. Small.AppendFloatsBeside makes smaller sections still of values that a
// learner can foretell, from them or from other columns, and takes about a
// microsecond a value both ways.
//
// Only the block format (FORMAT.md describes the bytes) imports it.
package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errShort says that a section ends before its values do.
var errShort = errors.New("section ends early")

func errTrailing(n int) error { return fmt.Errorf("%d bytes after the last value", n) }

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// reader walks a section; after a failure every read gives zero.
type reader struct {
	data []byte
	err  error
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) varint() int64 { return unzigzag(r.uvarint()) }

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.fail(errShort)
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.data = nil
}

// sized reads a section of whole numbers behind its bytes.
func (r *reader) sized(n int) ([]int64, error) { return r.sizedTo(nil, n) }

func (r *reader) sizedTo(dst []int64, n int) ([]int64, error) {
	size := r.uvarint()
	if r.err != nil || size > uint64(len(r.data)) {
		return nil, errShort
	}
	section := r.data[:size]
	r.data = r.data[size:]
	return ReadInts(dst, section, n)
}

// plain is sized for a section that no other may be in: sections within
// sections stay few.
func (r *reader) plain(n int) ([]int64, error) {
	size, k := binary.Uvarint(r.data)
	if k <= 0 || size > uint64(len(r.data)-k) || !plain(r.data[k:]) {
		return nil, errShort
	}
	return r.sized(n)
}

// plain says whether a section holds no other.
func plain(section []byte) bool { return len(section) > 0 && section[0] <= intOrder2 }

// end reports the first failure, or bytes that nobody asked for.
func (r *reader) end() error {
	if r.err == nil && len(r.data) > 0 {
		r.err = errTrailing(len(r.data))
	}
	return r.err
}

// grow returns dst with room for n more values.
func grow[T any](dst []T, n int) []T {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	out := make([]T, len(dst), len(dst)+n)
	copy(out, dst)
	return out
}
