// Package tsdbtest says what a store of observations means, independent of how
// one is built: the Engine interface, a naive Oracle that keeps every revision
// in maps and reads by the rules of the root package alone, a script language
// with scripts that fix the meaning (testdata), and a model test that runs
// random operations on a store and on the oracle side by side.
//
// A store passes when RunScripts and Model pass on it. Only tests import this
// package.
package tsdbtest
