// Package shared finds what tests and score commands need from outside a clone:
// the folder of recorded observations beside a full checkout (../shared/data),
// and programs of the machine, such as real clients.
//
// What is missing skips the test, so that a fresh clone passes on a bare
// machine, and fails it where the environment variable CI is "true", so that
// the continuous build cannot pass by skipping. Only _test.go files and the
// score commands may import it.
package shared

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
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
// named by its elements below the data folder.
func Path(tb testing.TB, elem ...string) string {
	tb.Helper()
	dir, ok := Dir()
	p := filepath.Join(append([]string{dir}, elem...)...)
	if ok {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	Missing(tb, "recorded observations not beside this checkout: %s", p)
	return ""
}

// Tool returns the path of a program that goes by one of the names.
func Tool(tb testing.TB, names ...string) string {
	tb.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(tb, "%s is not installed", strings.Join(names, " or "))
	return ""
}

// Missing ends a test for want of something that the continuous build has.
func Missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf(format+" (the continuous build must have it)", args...)
	}
	tb.Skipf(format, args...)
}
