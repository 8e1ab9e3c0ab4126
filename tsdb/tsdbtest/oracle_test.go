package tsdbtest

import "testing"

func TestScripts(t *testing.T) {
	RunScripts(t, func(*testing.T) Subject { return NewOracle() })
}
