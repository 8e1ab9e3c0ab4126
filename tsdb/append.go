package tsdb

import (
	"context"

	"quantrac"
	"quantrac/internal/journal"
)

// Append makes a batch durable, all or nothing, as one commit, and returns
// what became of it; it is seen by reads that begin after. The batch is not
// changed and may be used again.
//
// Of Readings, rows more than quantrac.MaxAhead ahead of the centre's time are
// failed. Labels that are registry keys become exported_x; of corrections and
// forecasts they are taken off. A Missing cell has the canonical NaN.
//
// Errors: Invalid (see Validate), NotFound for the revocation of a correction
// that does not stand, Busy while flushing fails and memory is full,
// and of new series where there are Options.MaxSeries, Unavailable
// when the journal cannot take it or the store is closed, the context's until the
// batch is queued. After any of them nothing is acknowledged. Where flushing does
// not keep pace, Append waits for it.
func (db *DB) Append(ctx context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	if err := db.enter(); err != nil {
		return quantrac.Receipt{}, err
	}
	defer db.leave()
	if err := db.roomForMore(ctx); err != nil {
		return quantrac.Receipt{}, err
	}
	if err := validateHead(b); err != nil {
		return quantrac.Receipt{}, err
	}
	switch b.Kind {
	case quantrac.Revocation:
		if !db.log.Stands(b.Correction) {
			return quantrac.Receipt{}, quantrac.Errorf(quantrac.NotFound, "no correction %q stands", b.Correction)
		}
	case quantrac.Forecasts:
		return db.appendForecast(ctx, b)
	}
	return db.commit(ctx, b, nil)
}

// appender returns an appender for one batch. Idle ones stay, as what they
// remember is worth more than their memory.
func (db *DB) appender() *appender {
	select {
	case a := <-db.idle:
		return a
	default:
		return &appender{}
	}
}

func (db *DB) idleAppender(a *appender) {
	select {
	case db.idle <- a:
	default: // there are enough
	}
}

// commit journals a batch whose head is valid, and rows that are ours to add
// and valid already, which the receipt does not count.
func (db *DB) commit(ctx context.Context, b *quantrac.Batch, ours []quantrac.Row) (quantrac.Receipt, error) {
	a := db.appender()
	defer db.idleAppender(a)
	var rc quantrac.Receipt
	now := max(db.o.Clock.Now(), db.j.Last().Time)
	if err := a.plan(b, db.o.Reserved); err != nil {
		return rc, err
	}
	if err := db.checkSeries(a, b); err != nil {
		return rc, err
	}
	rc.Collisions = len(a.beaten)
	rc.Ahead = a.encode(b, now.Add(quantrac.MaxAhead))
	added := 0
	for i := range ours {
		r := &ours[i]
		g := a.enc.group(r.Group)
		n, _ := a.enc.shape(r.Cells)
		a.enc.row(g, n, r.Time, r.Received, r.Cells)
		added += len(r.Cells)
	}
	a.payload = a.enc.append(a.payload[:0], b)

	db.receipts.wait()
	record := journal.Record{Kind: quantrac.RecordBatch, Layer: b.Layer(), Data: a.payload}
	if b.History {
		record.Flags |= quantrac.FlagHistory
	}
	commits, err := db.j.Append(ctx, record)
	if err != nil {
		db.receipts.take(0)
		return quantrac.Receipt{}, err
	}
	rc.Commit = commits[0]
	c := db.receipts.take(rc.Commit.Number)
	rc.Stored, rc.Redelivered = max(c.stored-added, 0), c.redelivered
	db.stats.collisions.Add(uint64(rc.Collisions))
	db.stats.ahead.Add(uint64(rc.Ahead))
	return rc, nil
}
