package archtest

import (
	"go/ast"
	"path"
	"sort"
	"strings"
	"testing"
)

func TestPackageComments(t *testing.T) {
	for dir, p := range load(t) {
		if generated(p) {
			continue
		}
		text := ""
		for _, f := range p.files {
			if f.Doc != nil && len(f.Doc.Text()) > len(text) {
				text = f.Doc.Text()
			}
		}
		if len(strings.Fields(text)) < 15 {
			t.Errorf("package %s: no comment that says what it does, what it promises and who may import it (have %q)", dir, text)
		}
	}
}

// generated says whether every file of the package is machine-written.
func generated(p *pkg) bool {
	for _, f := range p.files {
		if !ast.IsGenerated(f) {
			return false
		}
	}
	return true
}

// osFile are the calls of package os that touch the file system.
var osFile = map[string]bool{
	"Open": true, "OpenFile": true, "Create": true, "CreateTemp": true, "ReadFile": true, "WriteFile": true,
	"Remove": true, "RemoveAll": true, "Rename": true, "Link": true, "Symlink": true, "Mkdir": true, "MkdirAll": true,
	"MkdirTemp": true, "ReadDir": true, "Stat": true, "Lstat": true, "Truncate": true, "Chmod": true, "Chtimes": true,
}

// osAllowed are the places that may touch files without vfs.
func osAllowed(dir string) bool {
	return dir == "internal/vfs" || dir == "internal/shared" || dir == "internal/archtest" ||
		strings.HasPrefix(dir, "internal/e2e") || strings.HasPrefix(dir, "cmd/") ||
		strings.Contains(dir, "/internal/score") || strings.Contains(dir, "/internal/gen")
}

func TestFilesGoThroughVFS(t *testing.T) {
	for dir, p := range load(t) {
		if osAllowed(dir) {
			continue
		}
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if id, ok := sel.X.(*ast.Ident); ok && id.Name == "os" && id.Obj == nil && osFile[sel.Sel.Name] {
					t.Errorf("%s: os.%s beside the vfs seam", p.fset.Position(call.Pos()), sel.Sel.Name)
				}
				return true
			})
		}
	}
}

func TestNoCatchAllPackages(t *testing.T) {
	bad := map[string]bool{"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "types": true, "misc": true}
	var dirs []string
	for dir := range load(t) {
		dirs = append(dirs, dir)
	}
	sort.Strings(dirs)
	for _, dir := range dirs {
		if bad[path.Base(dir)] {
			t.Errorf("package %s: name it after what it does", dir)
		}
	}
}
