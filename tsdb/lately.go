package tsdb

// lately tells of most times near the newest row of a group that the group has no
// row there, without a look at the rows: senders overtake each other, and what comes
// a step or two late would be looked for in all that may hold it already. It is a
// Bloom filter of one function over the rows that came last, those of each time on
// together. The zero value knows nothing.
type lately struct {
	newer, older lateSpan
}

// lateSpan has the bit of every row at from and later, up to where the next one
// begins; none where rows is 0.
type lateSpan struct {
	from int64
	bits uint64
	rows uint32
}

// rowsPerSpan is how many rows a span takes before another is begun: of 64 bits an
// eighth.
const rowsPerSpan = 8

func bitOf(time int64) uint64 { return 1 << (mix(uint64(time)) & 63) }

// add notes a row of a group whose newest row so far is at newest.
func (l *lately) add(time, newest int64) {
	if time > newest && (l.newer.rows == 0 || l.newer.rows >= rowsPerSpan) {
		l.older, l.newer = l.newer, lateSpan{from: newest + 1}
	}
	s := &l.newer
	if time < s.from {
		s = &l.older
	}
	if s == &l.newer && time > newest || s.rows > 0 && time >= s.from {
		s.bits |= bitOf(time)
		s.rows++
	}
}

// may says whether the group may have a row of a time.
func (l *lately) may(time int64) bool {
	for _, s := range [...]*lateSpan{&l.newer, &l.older} {
		if s.rows > 0 && time >= s.from {
			return s.bits&bitOf(time) != 0
		}
	}
	return true
}
