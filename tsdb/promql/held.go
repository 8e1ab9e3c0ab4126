package promql

import (
	"sync/atomic"

	"quantrac"
)

// What a request has read and made lies in memory until its answer is written, and
// who takes an answer slowly keeps it there. Options.MaxSamples bounds one request;
// what all of them hold together is bounded too, as there may be many.

// held counts samples of 16 bytes, of all requests under way.
type held struct {
	most int64
	now  atomic.Int64
}

// share is what one request holds; the zero value counts nothing. It is of one
// goroutine.
type share struct {
	of          *held
	taken, used int64
}

// sharePiece is how many samples are taken at a time.
const sharePiece = 16 << 10

// hold counts n samples more. Where that is too much for all, the error is Busy:
// others will be done some time. It is Invalid where the request alone needs too many.
func (s *share) hold(n int) error {
	if s == nil || s.of == nil {
		return nil
	}
	if s.used += int64(n); s.used <= s.taken {
		return nil
	}
	if s.used > s.of.most {
		return quantrac.Errorf(quantrac.Invalid, "this query alone needs more than %d samples in memory, the limit for all; ask for fewer series, a shorter range or longer steps", s.of.most)
	}
	more := max(s.used-s.taken, min(sharePiece, s.of.most-s.taken))
	if now := s.of.now.Add(more); now > s.of.most {
		s.of.now.Add(-more)
		return quantrac.Errorf(quantrac.Busy, "the queries under way hold %d samples in memory, and with this one's they would be more than %d, the limit for all; ask again later", now-more, s.of.most)
	}
	s.taken += more
	return nil
}

// release lets go of all of it.
func (s *share) release() {
	if s.of != nil {
		s.of.now.Add(-s.taken)
		s.taken, s.used = 0, 0
	}
}
