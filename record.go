package quantrac

// RecordKind says whose journal record it is. The journal itself does not look
// inside; each room decodes its own. Numbers are written to disk: never reuse
// one.
type RecordKind uint8

// The kinds of records.
const (
	RecordBatch      RecordKind = 1 // observations, corrections, forecasts: decoded by tsdb
	RecordRegistry   RecordKind = 2 // a change of stations, devices, thresholds, accounts: devices
	RecordWarning    RecordKind = 3 // a revision of a warning: alerting
	RecordRun        RecordKind = 4 // a forecast run, whole: forecast
	RecordDeadLetter RecordKind = 5 // a message that could not be taken in: collector
	RecordDelivery   RecordKind = 6 // a change of subscriptions: alerting
	RecordAudit      RecordKind = 7 // who did what
)

// FlagHistory is the flag of a RecordBatch whose batch is History. It is written
// to disk.
const FlagHistory uint16 = 1

// Receipt tells a writer what became of a durable batch.
type Receipt struct {
	Commit      Commit
	Stored      int // cells that made a new revision
	Redelivered int // cells equal to an earlier device value: no revision
	Collisions  int // cells of the batch beaten by a later one of the same series and time
	Ahead       int // cells failed for lying more than MaxAhead in the future
}
