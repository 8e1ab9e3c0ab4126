// Package score runs the store beside its peers on one load and says how they
// compare: processor time, memory and bytes on disk for what is taken in, time
// and processor time of queries, what is lost at a kill, and whether the answers
// are the same.
//
// Each store is a process of its own on loopback with a data folder of its own,
// ours being the whole service; one works at a time, is sent the same bytes, and
// is asked the same questions through the Prometheus API. What is measured ends
// up as Figures, a row a figure and a column a store; Card sets them against
// what is wanted. A peer that is not on the machine is a hole in the table and a
// row that is short.
//
// Figures of machines differ and are noisy; what carries over are the ratios of
// one run. Only the program in compare and tests may import this package.
package score
