package tsdb

import "quantrac"

// Query says what Select reads. The zero value of every field but Matchers,
// From and To is the common case.
type Query struct {
	Matchers []*quantrac.Matcher // all must pass; __name__ is the metric
	From, To quantrac.Millis     // valid times, both inclusive

	// AsOf and AsOfCommit read what was known: at a time, rounded down to a second,
	// or after the commit of that number. 0 means now; with both the earlier state
	// counts. Of readings that lie in sealed blocks, some days old and older, and that
	// nothing has changed, only the second of their commit is kept: as of a commit
	// all of its second count.
	AsOf       quantrac.Millis
	AsOfCommit uint64

	Qualities  quantrac.QualitySet // 0 is quantrac.DefaultQualities
	DeviceOnly bool                // as received: without corrections and deletions

	// MaxSeries and MaxSamples bound the answer; one more is an Invalid error
	// and not a shortened answer. 0 means no bound.
	MaxSeries, MaxSamples int

	// Anew has Fold work everything out: what it came to in earlier queries is
	// neither used nor kept. What was read stays in memory all the same.
	Anew bool

	// Reuse lets Select use the memory of a series again: what is yielded is
	// valid until the next is. Series are then read ahead, several at a time.
	Reuse bool
}

// Series is one series of an answer: parallel columns, times strictly rising.
// It belongs to the receiver, unless Query.Reuse was set. Values is NaN where
// the quality is Missing.
type Series struct {
	Labels    quantrac.Labels
	Times     []quantrac.Millis
	Values    []float64
	Qualities []quantrac.Quality
}

// Last is the newest value of a series that counts as a present state: visible
// now, of a default quality, and not more than quantrac.MaxAhead ahead of the
// commit that brought it (its time rounded up to a second). So neither a failed reading nor the part of a
// forecast that lies ahead is ever a last value, and a correction or deletion
// of the newest value changes it.
type Last struct {
	Labels   quantrac.Labels
	Time     quantrac.Millis
	Value    float64
	Quality  quantrac.Quality
	Received quantrac.Millis // 0 where unknown
	Commit   quantrac.Commit // or the first of its second; the time may be rounded up to a second
}

// Deletion says what Delete withdraws: every visible value of the series that
// pass, from From to To inclusive, of any quality.
type Deletion struct {
	Matchers   []*quantrac.Matcher // at least one
	From, To   quantrac.Millis
	Author     string // wanted
	Reason     string // wanted
	Correction string // id by which it can be revoked, "" for never
}

// Stats are figures about a DB, for metrics and for tests.
type Stats struct {
	Groups int // row groups known
	Series int // series known

	Applied uint64 // number of the last commit in the store
	Flushed uint64 // number of the last commit that is in blocks; the journal is held from here

	HeadRows     int   // rows in memory
	HeadBytes    int64 // estimate of their memory
	Blocks       int   // block files
	SealedBlocks int   // of those, written as small as they can be
	BlockRows    int64 // rows in them, revisions included
	BlockCells   int64 // values in them, revisions included
	DiskBytes    int64 // bytes of all files of the store, without the journal

	Stored      uint64 // since Open, counted as in quantrac.Receipt
	Redelivered uint64
	Collisions  uint64
	Ahead       uint64

	DaysFolded uint64 // since Open, days that Fold took as blocks sum them up

	Flushes     uint64 // since Open, that ended well
	FlushErrors uint64 // since Open
	Compactions uint64
	ReadErrors  uint64 // damaged or unreadable pieces met while applying commits

	LastScrub  quantrac.Millis // when every file was last read whole, 0 for never since Open
	ScrubError error           // what that found, nil for nothing

	// LastError is the latest failure of background work, nil once it has
	// worked again.
	LastError error
}
