// Package shared finds the folder of recorded observations that lies beside a
// full checkout (../shared/data) and is not part of a clone.
//
// Tests and benchmarks read those files in place: Path skips the test where
// the folder is missing, so that a fresh clone passes, and fails it when the
// environment variable CI is "true", so that the continuous build cannot pass
// by skipping. Only _test.go files and benchmarks may import it.
package shared

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Dir returns the data folder beside the checkout and whether it is there.
func Dir() (string, bool) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", false
	}
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	dir := filepath.Join(filepath.Dir(root), "shared", "data")
	info, err := os.Stat(dir)
	return dir, err == nil && info.IsDir()
}

// Path returns the path of a file or folder of the recorded observations,
// named by its elements below the data folder. A test that asks for what is
// not there is skipped, or failed under CI.
func Path(tb testing.TB, elem ...string) string {
	tb.Helper()
	dir, ok := Dir()
	p := filepath.Join(append([]string{dir}, elem...)...)
	if ok {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("recorded observations missing: %s (the continuous build must have them)", p)
	}
	tb.Skipf("recorded observations not beside this checkout: %s", p)
	return ""
}
