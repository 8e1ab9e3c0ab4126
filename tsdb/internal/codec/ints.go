package codec

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A section of whole numbers: one byte of mode, then by mode
//
//	constant  the value, zigzag varint
//	order 0   the least value, then the distances from it
//	order 1   the first value, then the differences of neighbours
//	order 2   first value, first difference, then the differences of differences
//
// Distances and zigzagged differences are Rice-coded (R. F. Rice, Some
// practical universal noiseless coding techniques, JPL 79-22, 1979) in blocks
// of 128, each behind a byte with its parameter k and starting on a byte: the
// high part of a number as so many one bits and a zero, then its low k bits,
// least significant bit first. Arithmetic wraps, so every int64 is coded.
const (
	intConstant = 0
	intOrder0   = 1
	intOrder1   = 2
	intOrder2   = 3

	blockLen  = 128
	zeroBlock = 64 // in place of k: all numbers of the block are zero
	// escape ones are followed by the whole number in 64 bits.
	escape = 24
)

// AppendInts appends the section of the values.
func AppendInts(dst []byte, vals []int64) []byte {
	if constant(vals) {
		var v int64
		if len(vals) > 0 {
			v = vals[0]
		}
		return binary.AppendVarint(append(dst, intConstant), v)
	}
	var buf [blockLen]uint64
	switch mode, least := chooseOrder(vals); mode {
	case intOrder0:
		dst = binary.AppendVarint(append(dst, intOrder0), least)
		for len(vals) > 0 {
			n := min(blockLen, len(vals))
			for i, v := range vals[:n] {
				buf[i] = uint64(v - least)
			}
			dst, vals = appendRice(dst, buf[:n]), vals[n:]
		}
	case intOrder1:
		dst = binary.AppendVarint(append(dst, intOrder1), vals[0])
		prev := vals[0]
		for vals = vals[1:]; len(vals) > 0; {
			n := min(blockLen, len(vals))
			for i, v := range vals[:n] {
				buf[i] = zigzag(v - prev)
				prev = v
			}
			dst, vals = appendRice(dst, buf[:n]), vals[n:]
		}
	case intOrder2:
		prev, step := vals[1], vals[1]-vals[0]
		dst = binary.AppendVarint(append(dst, intOrder2), vals[0])
		dst = binary.AppendVarint(dst, step)
		for vals = vals[2:]; len(vals) > 0; {
			n := min(blockLen, len(vals))
			for i, v := range vals[:n] {
				buf[i] = zigzag(v - prev - step)
				prev, step = v, v-prev
			}
			dst, vals = appendRice(dst, buf[:n]), vals[n:]
		}
	}
	return dst
}

func constant(vals []int64) bool {
	for _, v := range vals {
		if v != vals[0] {
			return false
		}
	}
	return true
}

// chooseOrder guesses by the lengths of the numbers which order codes the
// values, of which there are at least two, in the fewest bits.
func chooseOrder(vals []int64) (mode byte, least int64) {
	least = vals[0]
	for _, v := range vals {
		least = min(least, v)
	}
	var n0, n1, n2 int
	prev, step := vals[0], int64(0)
	for i, v := range vals {
		d := v - prev
		n0 += bits.Len64(uint64(v - least))
		n1 += bits.Len64(zigzag(d))
		if i > 1 {
			n2 += bits.Len64(zigzag(d - step))
		}
		prev, step = v, d
	}
	switch {
	case n0 <= n1 && n0 <= n2 && least > -1<<62 && n0 < 62*len(vals):
		return intOrder0, least
	case n2 < n1 && len(vals) > 2:
		return intOrder2, least
	}
	return intOrder1, least
}

func appendRice(dst []byte, vals []uint64) []byte {
	var sum, or uint64
	for _, v := range vals {
		or |= v
		sum += min(v, 1<<55) // cannot overflow
	}
	if or == 0 {
		return append(dst, zeroBlock)
	}
	k := riceParameter(vals, sum)
	dst = append(dst, byte(k))
	var acc uint64 // bits waiting, the low n of them
	var n uint
	put := func(v uint64, width uint) {
		acc |= v << n
		if n+width >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			acc = v >> (64 - n) // 0 where n is 0, a shift by 64
			n += width - 64
			return
		}
		n += width
	}
	mask := uint64(1)<<k - 1
	for _, v := range vals {
		q := v >> k
		if q >= escape {
			put(1<<escape-1, escape)
			put(v, 64)
			continue
		}
		put(1<<q-1, uint(q)+1) // q ones and a zero
		if k > 0 {
			put(v&mask, k)
		}
	}
	for ; n > 0; n -= min(n, 8) {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// riceParameter returns the k that codes the values in the fewest bits, sought
// around the logarithm of their mean.
func riceParameter(vals []uint64, sum uint64) uint {
	guess := uint(bits.Len64(sum / uint64(len(vals))))
	best, bestCost := uint(0), ^uint64(0)
	for k := max(guess, 2) - 2; k <= min(guess+1, 63); k++ {
		cost := uint64(len(vals)) * uint64(k+1)
		for _, v := range vals {
			q := v >> k
			if q >= escape {
				q = escape + 63
			}
			cost += q
		}
		if cost < bestCost {
			best, bestCost = k, cost
		}
	}
	return best
}

// IntsGapped says whether a section of whole numbers may want to be told gaps.
func IntsGapped(section []byte) bool {
	return len(section) > 0 && (section[0] == intSmall || section[0] == intRanks)
}

// ReadInts appends the n values of a section to dst.
func ReadInts(dst []int64, section []byte, n int) ([]int64, error) {
	return ReadGappedInts(dst, section, n, nil)
}

// ReadGappedInts is ReadInts of a section that Small.AppendInts was told gaps
// for: the same ones.
func ReadGappedInts(dst []int64, section []byte, n int, gaps []uint8) ([]int64, error) {
	r := reader{data: section}
	mode := r.byte()
	switch mode {
	case intSmall:
		return readSmall(dst, &r, n, gaps)
	case intRanks:
		return readRanks(dst, &r, n, gaps)
	case intSums:
		return readSums(dst, &r, n)
	case intMultiples:
		return readMultiples(dst, &r, n)
	case intPacked:
		return readPacked(dst, &r, n)
	}
	first := r.varint()
	dst = grow(dst, n)
	from := len(dst)
	out := dst[from : from+n]
	switch mode {
	case intConstant:
		for i := range out {
			out[i] = first
		}
	case intOrder0:
		r.rice(out)
		for i := range out {
			out[i] += first
		}
	case intOrder1:
		if n < 1 {
			return dst, errTrailing(len(section))
		}
		r.rice(out[1:])
		out[0] = first
		for i := 1; i < n; i++ {
			out[i] = out[i-1] + unzigzag(uint64(out[i]))
		}
	case intOrder2:
		if n < 2 {
			return dst, errTrailing(len(section))
		}
		step := r.varint()
		r.rice(out[2:])
		out[0], out[1] = first, first+step
		for i := 2; i < n; i++ {
			step += unzigzag(uint64(out[i]))
			out[i] = out[i-1] + step
		}
	default:
		return dst, fmt.Errorf("mode %d of whole numbers is unknown", mode)
	}
	if err := r.end(); err != nil {
		return dst, err
	}
	return dst[:from+n], nil
}

// rice fills out with the next numbers, their bits as int64.
func (r *reader) rice(out []int64) {
	for len(out) > 0 && r.err == nil {
		n := min(blockLen, len(out))
		k := uint(r.byte())
		switch {
		case k == zeroBlock:
			clear(out[:n])
		case k > 63:
			r.fail(fmt.Errorf("parameter %d of a Rice code is out of range", k))
		case r.err == nil:
			r.riceBlock(out[:n], k)
		}
		out = out[n:]
	}
}

func (r *reader) riceBlock(out []int64, k uint) {
	data := r.data
	end := uint(len(data)) * 8
	mask := uint64(1)<<k - 1
	pos := uint(0) // in bits
	for i := range out {
		w := load(data, pos)
		q := uint(bits.TrailingZeros64(^w))
		switch {
		case q >= escape:
			pos += escape
			out[i] = int64(load64(data, pos))
			pos += 64
		case q+1+k <= 57: // load gives at least 57 bits
			out[i] = int64(uint64(q)<<k | w>>(q+1)&mask)
			pos += q + 1 + k
		default:
			pos += q + 1
			out[i] = int64(uint64(q)<<k | load64(data, pos)&mask)
			pos += k
		}
		if pos > end {
			r.fail(errShort)
			return
		}
	}
	r.data = data[(pos+7)/8:]
}

// load returns the bits from pos on, at least 57 of them, zeros beyond the end.
func load(data []byte, pos uint) uint64 {
	at := pos / 8
	if at+8 <= uint(len(data)) {
		return binary.LittleEndian.Uint64(data[at:]) >> (pos % 8)
	}
	var last [8]byte
	if at < uint(len(data)) {
		copy(last[:], data[at:])
	}
	return binary.LittleEndian.Uint64(last[:]) >> (pos % 8)
}

// load64 returns the 64 bits from pos on.
func load64(data []byte, pos uint) uint64 {
	return load(data, pos)&(1<<32-1) | load(data, pos+32)<<32
}
