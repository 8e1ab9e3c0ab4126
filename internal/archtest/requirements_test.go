package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every module that go.mod requires for our own sake has its reason in
// ARCHITECTURE.md, and nothing stands there that is not required.
func TestRequirementsHaveReasons(t *testing.T) {
	required, given := directRequirements(t), reasoned(t)
	if len(required) < 10 || len(given) < 10 {
		t.Fatalf("%d requirements, %d reasons: the files are read wrongly", len(required), len(given))
	}
	for _, m := range required {
		if !slices.Contains(given, m) {
			t.Errorf("go.mod requires %s, ARCHITECTURE.md does not say for what", m)
		}
	}
	for _, m := range given {
		if !slices.Contains(required, m) {
			t.Errorf("ARCHITECTURE.md gives a reason for %s, which go.mod does not require", m)
		}
	}
}

// directRequirements returns the modules, those of GitHub without the host.
func directRequirements(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^\s+(\S+) v\S+$`).FindAllStringSubmatch(text(t, "go.mod"), -1) {
		out = append(out, strings.TrimPrefix(m[1], "github.com/"))
	}
	return out
}

// reasoned returns the modules that the table of dependencies names.
func reasoned(t *testing.T) []string {
	t.Helper()
	_, table, _ := strings.Cut(text(t, "ARCHITECTURE.md"), "\n## Dependencies")
	table, _, _ = strings.Cut(table, "\n## ")
	var out []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \| [^|]+ \|$`).FindAllStringSubmatch(table, -1) {
		for _, m := range regexp.MustCompile("`([^`]+/[^`]+)`").FindAllStringSubmatch(row[1], -1) {
			out = append(out, m[1])
		}
	}
	return out
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
