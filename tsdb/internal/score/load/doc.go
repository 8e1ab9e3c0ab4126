// Package load makes the load on which stores are compared, as line protocol:
// a network of stations that report every few minutes, with gaps, jitter and
// lines that come hours to days late, in batches as a gateway would post them.
//
// The same Network gives the same bytes on every run. It is a stream: what is
// kept in memory is the state of the stations and the lines still on their way.
// A File is a load written down once, so that every store is sent the same
// bytes and none waits for the generator.
//
// Only the programs and tests below tsdb/internal/score may import it.
package load
