package codec

import "fmt"

// Frequencies that follow no shape are told by levels: 0 for a symbol that does
// not occur, each level more for a factor of √2. As many levels as there are up
// to the last symbol that occurs stand behind their count, four bits each of
// count and five of level, and begin and end on a byte.
const maxLevel = 30

// levelWeight holds 2^(i/2) in 1/4, with 0 for 0.
var levelWeight = [maxLevel + 1]uint64{
	0, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048,
	2896, 4096, 5793, 8192, 11585, 16384, 23170, 32768, 46341, 65536, 92682,
}

// counted returns the first numbers of the symbols for their levels.
func counted(levels []uint8) (start [symbols + 1]uint32) {
	total := uint64(0)
	for _, l := range levels {
		total += levelWeight[l]
	}
	sum := uint64(0)
	for s := range symbols {
		start[s] = uint32(s)
		if total > 0 {
			start[s] += uint32(sum * (tableTotal - symbols) / total)
		}
		if s < len(levels) {
			sum += levelWeight[levels[s]]
		}
	}
	start[symbols] = tableTotal
	return start
}

// levelsOf returns the levels of counts.
func levelsOf(counts *[symbols]uint32) []uint8 {
	most, n := uint64(1), 0
	for s, c := range counts {
		if c > 0 {
			n = s + 1
		}
		most = max(most, uint64(c))
	}
	levels := make([]uint8, n)
	for s := range levels {
		if c := uint64(counts[s]); c > 0 {
			levels[s] = nearestLevel(c * levelWeight[maxLevel] / most)
		}
	}
	return levels
}

// nearestLevel returns the level whose weight comes closest by its ratio.
func nearestLevel(w uint64) uint8 {
	l := uint8(1)
	for l < maxLevel && levelWeight[l]*levelWeight[l+1] < w*w {
		l++
	}
	return l
}

func appendLevels(dst []byte, levels []uint8) []byte {
	var w bitWriter
	w.put(uint64(max(len(levels), 1)-1), 4)
	for s := range max(len(levels), 1) {
		l := uint8(0)
		if s < len(levels) {
			l = levels[s]
		}
		w.put(uint64(l), 5)
	}
	return append(dst, w.end()...)
}

func (r *reader) levels() []uint8 {
	if len(r.data) == 0 {
		r.fail(errShort)
		return nil
	}
	n := uint(r.data[0]&15) + 1
	size := (4 + 5*n + 7) / 8
	if size > uint(len(r.data)) {
		r.fail(errShort)
		return nil
	}
	levels, data := make([]uint8, n), r.data[:size]
	r.data = r.data[size:]
	for i := range n {
		levels[i] = uint8(load(data, 4+5*i) & 31)
		if levels[i] > maxLevel {
			r.fail(fmt.Errorf("level %d of a frequency is out of range", levels[i]))
		}
	}
	return levels
}
