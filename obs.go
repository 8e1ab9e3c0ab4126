package quantrac

import (
	"math"
	"time"
)

// Layer is where a revision of a value comes from. Human beats device,
// whatever their order in time; within a layer the newest commit wins.
type Layer uint8

// The layers.
const (
	LayerDevice Layer = iota // as received
	LayerHuman               // a correction or deletion, by an author with a reason
)

// String returns the layer's name.
func (l Layer) String() string {
	switch l {
	case LayerDevice:
		return "device"
	case LayerHuman:
		return "human"
	}
	return "unknown layer"
}

// Commit is one durable entry of the journal: its number in the one order of
// the whole service, from 1, and the centre's time of it, which never goes
// backwards.
type Commit struct {
	Number uint64
	Time   Millis
}

// Cell is the value of one property in a row.
type Cell struct {
	Property string  // metric name with its unit, such as water_level_meters
	Value    float64 // any float64, kept bit for bit; NaN where Missing
	Quality  Quality
}

// Row is what one source says at one time: values of several properties that
// share all other labels.
type Row struct {
	Group    Labels // the series' labels less the metric name
	Time     Millis // valid time
	Received Millis // when station or gateway got it, 0 where unknown; an attribute, never the order
	Cells    []Cell // at least one; of a property given twice the last wins
}

// BatchKind says which rules of revision a batch follows.
type BatchKind uint8

// The kinds of batches.
const (
	// Readings come from devices. A value equal, bit for bit, to any earlier
	// device value at its series and time is a redelivery and changes nothing.
	Readings BatchKind = iota
	// Corrections are revisions in the human layer: Cells carry the corrected
	// values, or Missing to delete. Author and Reason are wanted.
	Corrections
	// Revocation withdraws every human revision that carries the correction
	// id: from its commit on reads show what they would show without them. It
	// has no rows.
	Revocation
	// Forecasts are values written ahead by a model's run. The run replaces
	// everything its model said for its groups after Issue, atomically; no
	// redelivery is looked for, the newest run wins.
	Forecasts
)

// Batch is what one Append makes durable, all or nothing, as one commit.
type Batch struct {
	Kind BatchKind
	Rows []Row

	// History says of Readings that somebody brings them from elsewhere, long
	// after they were measured. They are stored like any; no rule judges them, as
	// nobody is to be warned of what is over.
	History bool

	// Of Corrections and Revocation.
	Author     string // who says so
	Reason     string // why
	Correction string // id of the correction; "" for a lone edit that will not be revoked

	// Of Forecasts.
	Model string // every group of the batch carries it as label model
	Issue Millis // issue time: the run replaces what lies after it
}

// Layer returns the layer the batch writes to.
func (b *Batch) Layer() Layer {
	if b.Kind == Corrections || b.Kind == Revocation {
		return LayerHuman
	}
	return LayerDevice
}

// Revision is one version of the value at a series and time.
type Revision struct {
	Value      float64
	Quality    Quality
	Layer      Layer
	Commit     Commit
	Received   Millis // 0 where unknown
	Author     string // of a human revision
	Reason     string
	Correction string
	Revoked    uint64 // number of the commit that revoked it, 0 where none has
}

// Visible picks the revision that a reader sees among all revisions of one
// series and time, given in the order of their commits: the newest human one
// that stands, else the newest device one. Only commits up to asOf count;
// asOf 0 means all. With deviceOnly the human layer is left out: the value as
// received. It returns nil where nothing is seen.
func Visible(revs []Revision, asOf uint64, deviceOnly bool) *Revision {
	var best *Revision
	for i := range revs {
		r := &revs[i]
		if asOf != 0 && r.Commit.Number > asOf {
			break
		}
		if r.Layer == LayerHuman && (deviceOnly || r.Revoked != 0 && (asOf == 0 || r.Revoked <= asOf)) {
			continue
		}
		if best == nil || r.Layer >= best.Layer {
			best = r
		}
	}
	return best
}

// SameValue says whether two values are the same bit for bit: the test for a
// redelivery. Two NaNs of one payload are the same, 0 and −0 are not.
func SameValue(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// MaxAhead is how far ahead of the centre's clock a device's valid time may
// lie. What is further ahead fails, is kept, and never becomes a last value.
const MaxAhead = 10 * time.Minute

// A device's clock can be wrong by much more than MaxAhead, and a damaged one
// says anything. A reading outside these bounds is not stored even as failed:
// a store ordered by time would have to make room for it wherever it lies.
const (
	// EarliestReading is 1900-01-01 at +07:00, earlier than any instrument
	// record of the province that may yet be entered.
	EarliestReading Millis = -2_209_014_000_000
	// MaxKeptAhead is how far ahead of the centre's clock a failed reading is
	// still kept beside the others.
	MaxKeptAhead = 365 * 24 * time.Hour
)

// StaleGrace is added to three expected intervals before a silent series
// disappears from instant reads, for the way from the station to here.
const StaleGrace = time.Minute

// DefaultStale is how long a series with no registered interval is seen after
// its last sample, as in Prometheus.
const DefaultStale = 5 * time.Minute

// StaleAfter returns how long after its last sample a series of an expected
// interval is still seen: three intervals and StaleGrace, or DefaultStale
// where no interval is registered (zero).
func StaleAfter(interval time.Duration) time.Duration {
	if interval <= 0 {
		return DefaultStale
	}
	return 3*interval + StaleGrace
}

// TimeVerdict says what to do with a reading because of its valid time.
type TimeVerdict uint8

// The verdicts of CheckTime.
const (
	TimeOK          TimeVerdict = iota
	TimeAhead                   // more than MaxAhead in the future: the reading fails
	TimeBeforeStart             // before the station was installed: quarantine
	TimeBootClock               // the date a logger without a set clock starts from: quarantine
	TimeFarAhead                // more than MaxKeptAhead in the future: quarantine
	TimeTooOld                  // before EarliestReading: quarantine
)

// Quarantine says whether a reading of the verdict stays out of the store: kept
// as a dead letter, with the time of receipt on offer as its correction.
func (v TimeVerdict) Quarantine() bool { return v > TimeAhead }

// String says the verdict in words fit for a dead letter's reason.
func (v TimeVerdict) String() string {
	switch v {
	case TimeOK:
		return "time accepted"
	case TimeAhead:
		return "time lies more than 10 minutes ahead of the centre's clock"
	case TimeBeforeStart:
		return "time lies before the station's installation"
	case TimeBootClock:
		return "time is the start date of an unset logger clock"
	case TimeFarAhead:
		return "time lies more than a year ahead of the centre's clock"
	case TimeTooOld:
		return "time lies before 1900, earlier than any instrument record"
	}
	return "unknown verdict"
}

// bootEpochs are the dates from which clocks of loggers and modems count when
// nobody has set them: Unix, GPS, the usual RTC default, and the defaults of
// two common modem families.
var bootEpochs = [...]Millis{
	0,             // 1970-01-01 Unix
	315532800000,  // 1980-01-01 FAT and many GSM modems
	315964800000,  // 1980-01-06 GPS
	946684800000,  // 2000-01-01 RTC chips
	1072915200000, // 2004-01-01 modems
}

// bootWindow is how long after such a date a stamp is taken for an unset
// clock: loggers seldom run longer without hearing the time. bootZone is how
// long before it: a logger that counts in local time reaches the date first
// where the day begins first, at +14:00.
const (
	bootWindow = 30 * 24 * time.Hour
	bootZone   = 14 * time.Hour
)

// CheckTime judges the valid time of a reading from a registered device.
// now is the centre's time; installed is the station's installation, 0 where
// it is not known. The readings it sends to quarantine are offered for
// correction with their received time. A station known to be older than the
// date in question is believed.
func CheckTime(t, now, installed Millis) TimeVerdict {
	switch {
	case t > now.Add(MaxKeptAhead):
		return TimeFarAhead
	case t > now.Add(MaxAhead):
		return TimeAhead
	case t < EarliestReading:
		return TimeTooOld
	}
	if installed != 0 {
		if t < installed {
			return TimeBeforeStart
		}
		return TimeOK
	}
	for _, e := range bootEpochs {
		if t >= e.Add(-bootZone) && t < e.Add(bootWindow) && now >= e.Add(bootWindow) {
			return TimeBootClock
		}
	}
	return TimeOK
}
