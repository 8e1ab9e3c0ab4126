package tsdb

// CompactSome is what Run does after a flush.
var CompactSome = (*DB).compactSome
