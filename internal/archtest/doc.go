// Package archtest holds the shape test of the house: it reads the source of
// the whole module and fails where a room imports a sibling, a package has no
// comment, an init function or undeclared package state appears, or a file is
// opened beside the vfs seam. It contains tests only; nobody imports it.
package archtest
