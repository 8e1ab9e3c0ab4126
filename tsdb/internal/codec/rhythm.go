package codec

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A section in mode intRhythm is for numbers that never fall and repeat, such as
// the seconds in which commits were made: stations speak at the same seconds of
// every minute or hour, and about as many of them each time. The period `u`, the
// first number z, then bits by their odds: for each number how many times it
// stands there, by how many did at the same phase before, and then, but for the
// last, by how much the next one is above it, by how much it was at that phase.
const intRhythm = 10

const (
	maxPeriod  = 3600
	rhythmMean = 8  // binary places of means
	rhythmSlow = 30 // means are over about so many
	rhythmFar  = 24 // steps from the mean after which the rest is told as a number
	rhythmSide = 16 // contexts on a side of the mean
)

// rhythmPeriods are what is tried: a minute where all stations speak at the same
// intervals, an hour where they do not.
var rhythmPeriods = [...]int64{60, maxPeriod}

// beat is what is known of a phase.
type beat struct {
	next int64 // by how much the number after was above, 0 where it is not known
	mean int64 // how many there were
	seen uint8
	sure uint8 // how often next was right, at last
}

// rhythm is the model. All of it is arithmetic of whole numbers.
type rhythm struct {
	period int64
	beats  []beat
	any    beat // of all phases

	again          [4]Odds
	rest, less, up FarOdds
	more, fewer    [2*rhythmSide + 1]Odds
}

func newRhythm(period int64) *rhythm {
	return &rhythm{period: period, beats: make([]beat, period), any: beat{mean: 1 << rhythmMean}}
}

// at returns the beat of a number.
func (r *rhythm) at(v int64) *beat {
	phase := v % r.period
	if phase < 0 {
		phase += r.period
	}
	return &r.beats[phase]
}

// count codes how many times the number of a beat stands there, once at least.
func (r *rhythm) count(c *Bits, b *beat, n int64) int64 {
	mean := b.mean
	if b.seen == 0 {
		mean = r.any.mean
	}
	v := max(mean>>rhythmMean, 1)
	from := v
	if c.Bit(&r.more[r.context(v, mean)], n > v) {
		for v++; v < from+rhythmFar && c.Bit(&r.more[r.context(v, mean)], n > v); {
			v++
		}
		if v == from+rhythmFar {
			v += int64(c.Far(&r.up, uint64(n-v)))
		}
	} else {
		for v > max(1, from-rhythmFar) && c.Bit(&r.fewer[r.context(v, mean)], n < v) {
			v--
		}
		if v > 1 && v == from-rhythmFar {
			v -= int64(c.Far(&r.less, uint64(v-n)))
		}
	}
	b.learn(v)
	r.any.learn(v)
	return v
}

// context says where a count lies by a mean, in half ones or, of large counts,
// steps that grow as its root.
func (r *rhythm) context(v, mean int64) int {
	step := int64(1) << (rhythmMean - 1 + bits.Len64(uint64(mean)>>(rhythmMean+3))/2)
	return int(min(max((v<<rhythmMean-mean)/step, -rhythmSide), rhythmSide)) + rhythmSide
}

func (b *beat) learn(n int64) {
	if b.seen < rhythmSlow {
		b.seen++
	}
	b.mean += (n<<rhythmMean - b.mean) / int64(b.seen)
}

// step codes by how much the next number is above that of a beat, 1 at least.
func (r *rhythm) step(c *Bits, b *beat, by int64) int64 {
	if b.next > 0 && c.Bit(&r.again[b.sure], by == b.next) {
		b.sure = min(b.sure+1, uint8(len(r.again)-1))
		return b.next
	}
	by = int64(c.Far(&r.rest, uint64(by-1))) + 1
	if b.sure == 0 {
		b.next = by
	} else {
		b.sure--
	}
	return by
}

// appendRhythm appends the numbers in mode intRhythm, nothing where they fall, do
// not repeat or are far apart.
func appendRhythm(dst []byte, vals []int64) []byte {
	if len(vals) < smallMin || vals[0] < -1<<60 || vals[len(vals)-1] > 1<<60 {
		return dst
	}
	runs := 1
	for i, v := range vals[1:] {
		if v < vals[i] {
			return dst
		}
		if v > vals[i] {
			runs++
		}
	}
	if runs > len(vals)*3/4 {
		return dst
	}
	at, counts := make([]int64, 0, runs), make([]int64, 0, runs)
	for i, v := range vals {
		if i == 0 || v > vals[i-1] {
			at, counts = append(at, v), append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return bestRhythm(dst, func(dst []byte, period int64) []byte {
		dst = binary.AppendUvarint(append(dst, intRhythm), uint64(period))
		return newRhythm(period).append(binary.AppendVarint(dst, vals[0]), at, counts)
	})
}

// bestRhythm appends what is smallest of the forms with the periods that are tried.
func bestRhythm(dst []byte, form func(dst []byte, period int64) []byte) []byte {
	at := len(dst)
	for i, period := range rhythmPeriods {
		second := len(dst)
		if dst = form(dst, period); i > 0 {
			dst = smaller(dst, at, second)
		}
	}
	return dst
}

func (r *rhythm) append(dst []byte, at, counts []int64) []byte {
	c := NewBitWriter(dst)
	r.ticks(c, at, counts)
	return c.End()
}

// ticks codes how many there are at each number, of the last one perhaps not, and
// all numbers but the first; it says whether they rise and are in range.
func (r *rhythm) ticks(c *Bits, at, counts []int64) bool {
	for i := range counts {
		b := r.at(at[i])
		if counts[i] = r.count(c, b, counts[i]); counts[i] < 1 {
			return false
		}
		if i+1 == len(at) {
			break
		}
		by := r.step(c, b, at[i+1]-at[i])
		if by < 1 || at[i] > math.MaxInt64-by {
			return false
		}
		at[i+1] = at[i] + by
	}
	return true
}

// AppendTicks appends at which numbers, which rise, how many commits are, one at
// least: by their rhythm. It takes the counts of all but the last.
func AppendTicks(dst []byte, at, counts []int64) []byte {
	return bestRhythm(dst, func(dst []byte, period int64) []byte {
		return newRhythm(period).append(binary.AppendUvarint(dst, uint64(period)), at, counts)
	})
}

// ReadTicks reads n numbers, the first of which is given, and the counts of all but
// the last.
func ReadTicks(data []byte, first int64, n int) (at, counts []int64, err error) {
	period, size := binary.Uvarint(data)
	if size <= 0 || period < 1 || period > maxPeriod || n < 1 {
		return nil, nil, errShort
	}
	at, counts = make([]int64, n), make([]int64, n-1)
	at[0] = first
	c := NewBitReader(data[size:])
	if !newRhythm(int64(period)).ticks(c, at, counts) || !c.Ended() {
		return nil, nil, errCodes
	}
	return at, counts, nil
}

// readRhythm appends the n numbers of a section in mode intRhythm to dst.
func readRhythm(dst []int64, r *reader, n int) ([]int64, error) {
	period, v := r.uvarint(), r.varint()
	if r.err != nil || period < 1 || period > maxPeriod || n < 1 {
		return dst, errShort
	}
	m, c := newRhythm(int64(period)), NewBitReader(r.data)
	dst = grow(dst, n)
	for left := int64(n); ; {
		b := m.at(v)
		k := m.count(c, b, 0)
		if k < 1 || k > left {
			return dst, errCodes
		}
		for range k {
			dst = append(dst, v)
		}
		if left -= k; left == 0 {
			break
		}
		by := m.step(c, b, 0)
		if by < 1 || v > math.MaxInt64-by {
			return dst, errCodes
		}
		v += by
	}
	if !c.Ended() {
		return dst, errCodes
	}
	return dst, nil
}
