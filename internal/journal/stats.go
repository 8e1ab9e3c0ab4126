package journal

// Stats are the journal's counters since Open and its present extent.
type Stats struct {
	Records    uint64 // committed
	Bytes      uint64 // written for them, framing included
	Groups     uint64 // writes and syncs they took
	Refused    uint64 // Append calls that failed
	SyncErrors uint64
	Full       bool // only Priority records are taken

	First, Last uint64 // numbers of the oldest commit that is here and the newest
	Segments    int
	Holds       map[string]uint64 // up to where each reader needs nothing any more
	Passed      map[string]uint64 // up to where each reader that is there has come
}

// Stats returns the counters.
func (j *Journal) Stats() Stats {
	j.pub.Lock()
	s := j.pub.stats
	s.First, s.Last, s.Segments = j.pub.segments[0].first, j.pub.last.Number, len(j.pub.segments)
	j.pub.Unlock()
	j.holds.mu.Lock()
	defer j.holds.mu.Unlock()
	s.Holds = make(map[string]uint64, len(j.holds.after))
	for name, after := range j.holds.after {
		s.Holds[name] = after
	}
	s.Passed = make(map[string]uint64, len(j.holds.passed))
	for name, at := range j.holds.passed {
		s.Passed[name] = max(at.Load(), s.Holds[name])
	}
	return s
}
