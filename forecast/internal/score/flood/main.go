// Command flood prints the scorecard of the flood forecasts over recorded
// rivers: a row per figure with what was measured, what is wanted and whether
// it holds, and at the end how many of the wanted figures held. It exits with
// status 1 if any is short, and 2 if the recordings are not there.
//
// Run it from a full checkout: go run ./forecast/internal/score/flood
package main

import (
	"fmt"
	"os"

	"quantrac/forecast/internal/score"
	"quantrac/internal/scorecard"
	"quantrac/internal/shared"
)

func main() {
	dir, ok := shared.Dir()
	if !ok {
		fmt.Fprintf(os.Stderr, "the recorded observations are not at %s\n", dir)
		os.Exit(2)
	}
	card, err := score.Flood(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	all, err := scorecard.Print(os.Stdout, card)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if !all {
		os.Exit(1)
	}
}
