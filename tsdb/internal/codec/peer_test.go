package codec

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// peer stores values as VictoriaMetrics does (lib/encoding and
// lib/decimal of 1.151): decimals with a common exponent, of 18 digits at most,
// differences (or their differences, for counters) as varints, zstd of a level
// by the count. Its zstd is the C library's, which takes some percent less.
type peer struct{ levels [6]*zstd.Encoder }

func (p *peer) append(dst []byte, vals []float64) []byte {
	ints := peerDecimals(vals)
	if len(ints) < 2 || constant(ints) {
		return append(dst, 0)
	}
	deltas := make([]byte, 0, 4*len(ints))
	before, step, gauge := ints[0], int64(0), peerGauge(ints)
	for _, v := range ints[1:] {
		d := v - before
		before = v
		if gauge {
			deltas = binary.AppendVarint(deltas, d)
		} else {
			deltas = binary.AppendVarint(deltas, d-step)
			step = d
		}
	}
	if len(deltas) < 128 {
		return append(dst, deltas...)
	}
	level := 1
	for _, n := range []int{64, 256, 1024, 4096} {
		if len(ints) > n {
			level++
		}
	}
	if out := p.encoder(level).EncodeAll(deltas, nil); len(out) < len(deltas)*9/10 {
		return append(dst, out...)
	}
	return append(dst, deltas...)
}

func (p *peer) encoder(level int) *zstd.Encoder {
	if p.levels[level] == nil {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err) // the options are right
		}
		p.levels[level] = enc
	}
	return p.levels[level]
}

// peerGauge tells gauges from counters.
func peerGauge(ints []int64) bool {
	resets := 0
	for i, v := range ints[1:] {
		if v < 0 || v < ints[i] && v > ints[i]>>3 {
			return true
		}
		if v < ints[i] {
			resets++
		}
	}
	return ints[0] < 0 || resets > 2 && resets > len(ints)>>3
}

// peerDecimals returns the shortest decimals of the values with one exponent.
func peerDecimals(vals []float64) []int64 {
	ints, exps := make([]int64, len(vals)), make([]int, len(vals))
	least := math.MaxInt
	for i, v := range vals {
		if ints[i], exps[i] = shortest(v); ints[i] != 0 {
			least = min(least, exps[i])
		}
	}
	common := least
	for i := range ints {
		for ; ints[i] != 0 && exps[i] > least; exps[i]-- {
			if ints[i] > 1<<58 || ints[i] < -1<<58 {
				common = max(common, exps[i])
				break
			}
			ints[i] *= 10
		}
	}
	for i := range ints {
		for ; ints[i] != 0 && exps[i] < common; exps[i]++ {
			ints[i] /= 10
		}
	}
	return ints
}

func shortest(v float64) (m int64, exp int) {
	mantissa, e, _ := strings.Cut(strconv.FormatFloat(v, 'e', -1, 64), "e")
	exp, _ = strconv.Atoi(e)
	whole, fraction, _ := strings.Cut(mantissa, ".")
	m, _ = strconv.ParseInt(whole+fraction, 10, 64)
	for exp -= len(fraction); m != 0 && m%10 == 0; exp++ {
		m /= 10
	}
	return m, exp
}
