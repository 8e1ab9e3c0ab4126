// Package tsdb is the engine: it keeps what the stations said, what people
// corrected and what the models foretold, and answers what is known now or was
// known at any earlier commit.
//
// Every write is one record of the journal (see AppendBatch) and durable before
// Append returns; the state of a DB is a function of the journal and of nothing
// else. Rows first live in the head, in memory; Flush moves them to immutable,
// checksummed block files by wide time partitions (FORMAT.md), Compact merges
// those. Nothing is overwritten: a reading that differs from an earlier one at
// its series and time is a newer revision, a correction or deletion is a
// revision in the human layer, and a read picks by quantrac.Visible.
//
// What a reader may rely on:
//
//   - A batch is seen whole or not at all, and a Select sees one state from its
//     first series to its last, whatever is appended, flushed or merged
//     meanwhile. As of an old commit that was not the last of its second see
//     Query.AsOfCommit.
//   - Late data of any age is taken in and seen at once.
//   - A reading sent again changes nothing, whichever earlier value it equals.
//   - Values come back bit for bit, NaN payloads and negative zero included.
//
// Open recovers; Run owns the background work (flushing by size and age,
// merging); Close may be called twice. The rooms never import this package for
// each other's sake: they declare what they need and cmd passes a DB in.
// tsdb/promql reads through it; tsdb/tsdbtest holds the naive oracle and the
// scripts that fix the meaning.
package tsdb
