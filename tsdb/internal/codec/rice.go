package codec

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// appendRice appends a block of at most blockLen numbers.
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
