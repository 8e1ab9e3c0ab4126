package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pkg is one package of the module: its non-test files.
type pkg struct {
	dir     string // relative to the module's root, "." for the root
	files   []*ast.File
	imports map[string][]string // import path → files that import it
	fset    *token.FileSet
}

func (p *pkg) add(rel string) error {
	f, err := parser.ParseFile(p.fset, filepath.Join(root, rel), nil, parser.ParseComments)
	if err != nil {
		return err
	}
	p.files = append(p.files, f)
	for _, im := range f.Imports {
		v := strings.Trim(im.Path.Value, `"`)
		p.imports[v] = append(p.imports[v], rel)
	}
	return nil
}

// load parses every package of the module.
func load(t *testing.T) map[string]*pkg {
	t.Helper()
	pkgs := map[string]*pkg{}
	for _, rel := range sources(t) {
		if strings.HasSuffix(rel, "_test.go") {
			continue
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		if pkgs[dir] == nil {
			pkgs[dir] = &pkg{dir: dir, imports: map[string][]string{}, fset: token.NewFileSet()}
		}
		if err := pkgs[dir].add(rel); err != nil {
			t.Fatal(err)
		}
	}
	if len(pkgs) < 3 {
		t.Fatalf("found only %d packages; the walk is broken", len(pkgs))
	}
	return pkgs
}

// root is the module's root, as seen from where this package's tests run.
var root = filepath.Join("..", "..")

// sources returns the Go files of the module, relative to its root, but those
// of nested modules and test data.
func sources(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if d.IsDir() && rel != "." && foreign(p, d.Name()) {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(p, ".go") {
			files = append(files, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// foreign says whether a folder holds nothing of this module.
func foreign(dir, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
