package dashboards

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAssetsAreCurrent compares the committed build with its sources by the
// sums the build wrote down: sources or built files that were changed alone
// are found without npm. `make checkgenerate` builds again and compares bytes.
func TestAssetsAreCurrent(t *testing.T) {
	raw, err := os.ReadFile("assets/build.json")
	if err != nil {
		t.Fatal(err)
	}
	var b struct{ Sources, Built map[string]string }
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	same := func(root string, want map[string]string, paths ...string) {
		t.Helper()
		have := map[string]bool{}
		for _, p := range paths {
			err := filepath.WalkDir(filepath.Join(root, p), func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				rel, _ := filepath.Rel(root, p)
				rel = filepath.ToSlash(rel)
				if rel == "build.json" {
					return nil
				}
				have[rel] = true
				raw, err := os.ReadFile(p)
				sum := sha256.Sum256(raw)
				if hex.EncodeToString(sum[:]) != want[rel] {
					t.Errorf("%s is not what the page was built with; run go generate ./dashboards", p)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for f := range want {
			if !have[f] {
				t.Errorf("%s/%s is gone; run go generate ./dashboards", root, f)
			}
		}
	}
	same("web", b.Sources, "src", "static", "data", "index.html", "build.mjs", "package.json", "package-lock.json")
	same("assets", b.Built, ".")
}

// The lock file must do for any mirror of the package registry.
func TestLockFileNamesNoHost(t *testing.T) {
	raw, err := os.ReadFile("web/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), `"resolved"`) {
		t.Error("web/package-lock.json says where packages were fetched (\"resolved\"); install again with web/.npmrc in force")
	}
}

// What the page loads first is for a phone on a weak line, and the outline of
// the map must stay small.
func TestSizes(t *testing.T) {
	p := newPage(t, newNetwork(), Options{})
	first, all := 0, 0
	html := string(p.assets.files["/index.html"].raw)
	entry := regexp.MustCompile(`src="(/assets/app-[^"]+\.js)"`).FindStringSubmatch(html)
	if entry == nil {
		t.Fatalf("no script in %s", html)
	}
	js := string(p.assets.files[entry[1]].raw)
	for name, f := range p.assets.files {
		if !strings.HasSuffix(name, ".js") && !strings.HasSuffix(name, ".css") {
			continue
		}
		all += len(f.gz)
		base := strings.TrimPrefix(name, "/assets/")
		static := strings.Contains(js, `from"./`+base+`"`) || strings.Contains(js, `import"./`+base+`"`)
		if name == entry[1] || strings.Contains(html, name) || static {
			first += len(f.gz)
		}
		if strings.HasPrefix(name, "/assets/outline") && len(f.raw) > 25_000 {
			t.Errorf("outline of %d bytes", len(f.raw))
		}
	}
	t.Logf("first load %d bytes of JS and CSS compressed, %d in all", first, all)
	if first > 60_000 || first < 10_000 || all > 120_000 {
		t.Errorf("first load %d bytes compressed, all %d; wanted below 60,000 and 120,000", first, all)
	}
}
