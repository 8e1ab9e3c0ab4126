package block

import (
	"fmt"
	"strings"

	"quantrac"
)

// texts are strings end to end.
type texts struct {
	all  string
	ends []uint32
}

func (t *texts) count() int { return len(t.ends) }

func (t *texts) at(i uint64) string {
	from := uint32(0)
	if i > 0 {
		from = t.ends[i-1]
	}
	return t.all[from:t.ends[i]]
}

// symbols reads the texts of an index.
func (r *indexReader) symbols() texts {
	n := r.count(2)
	ahead, total := *r, 0 // first only how much memory they take
	for range n {
		total += int(min(ahead.uvarint(), quantrac.MaxLabelValueBytes))
		total += len(ahead.bytes(ahead.count(1)))
	}
	if total > maxIndex {
		r.fail(fmt.Errorf("symbols of %d bytes", total))
		return texts{}
	}
	ends := make([]uint32, 0, n)
	var all strings.Builder
	all.Grow(min(total, 16*len(r.data))) // as much as is likely
	var text []byte
	for i := range n {
		shared := r.uvarint()
		rest := r.bytes(r.count(1))
		if shared > uint64(len(text)) {
			r.fail(fmt.Errorf("symbol %d shares %d bytes with one of %d", i, shared, len(text)))
			break
		}
		if text = append(text[:shared], rest...); len(text) > quantrac.MaxLabelValueBytes {
			r.fail(fmt.Errorf("symbol %d has %d bytes", i, len(text)))
			break
		}
		all.Write(text)
		ends = append(ends, uint32(all.Len()))
	}
	return texts{all.String(), ends}
}
