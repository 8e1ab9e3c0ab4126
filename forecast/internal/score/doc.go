// Package score runs the forecast models over recorded rivers, row by row as
// if each were the present, and compares what comes out with published and
// wanted figures.
//
// Rows are in time order: the first 70 % train, every one of the last 30 % is
// an issue time at which the model knows that row and older ones only. Nothing
// is chosen on the test rows. The recordings lie beside a full checkout and
// are read in place.
//
// Only tests, benchmarks and the program in flood may import it.
package score
