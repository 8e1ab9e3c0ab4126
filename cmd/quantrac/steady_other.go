//go:build !linux

package main

import "time"

// clockSynced: the system does not say.
func clockSynced() bool { return false }

// sleepOf: what passes while the machine sleeps is not known.
func sleepOf(func() time.Duration) func() time.Duration {
	return func() time.Duration { return 0 }
}
