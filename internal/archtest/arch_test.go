package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

const module = "quantrac"

// rooms are the six siblings; none may import another.
var rooms = []string{"alerting", "collector", "dashboards", "devices", "forecast", "tsdb"}

// pkg is one package of the module: its non-test files.
type pkg struct {
	dir     string // relative to the module's root, "." for the root
	files   []*ast.File
	imports map[string][]string // import path → files that import it
	fset    *token.FileSet
}

// load parses every package of the module but nested modules and test data.
func load(t *testing.T) map[string]*pkg {
	t.Helper()
	root := filepath.Join("..", "..")
	pkgs := map[string]*pkg{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if d.IsDir() {
			name := d.Name()
			if rel != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && rel != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		pk := pkgs[dir]
		if pk == nil {
			pk = &pkg{dir: dir, imports: map[string][]string{}, fset: token.NewFileSet()}
			pkgs[dir] = pk
		}
		f, err := parser.ParseFile(pk.fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pk.files = append(pk.files, f)
		for _, im := range f.Imports {
			v := strings.Trim(im.Path.Value, `"`)
			pk.imports[v] = append(pk.imports[v], rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 3 {
		t.Fatalf("found only %d packages; the walk is broken", len(pkgs))
	}
	return pkgs
}

func room(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	for _, r := range rooms {
		if first == r {
			return r
		}
	}
	return ""
}

func TestDependencyDirection(t *testing.T) {
	for dir, p := range load(t) {
		for im, files := range p.imports {
			local, ok := strings.CutPrefix(im, module+"/")
			if im == module {
				local, ok = ".", true
			}
			if !ok {
				continue
			}
			if why := forbidden(dir, local); why != "" {
				t.Errorf("%s imports %s (%s): %s", dir, im, strings.Join(files, ", "), why)
			}
		}
		if dir == "." {
			for im, files := range p.imports {
				first, _, _ := strings.Cut(im, "/")
				if strings.Contains(first, ".") {
					t.Errorf("the root package imports %s (%s): standard library only", im, strings.Join(files, ", "))
				}
			}
		}
	}
}

// forbidden says why package dir may not import package local, "" if it may.
func forbidden(dir, local string) string {
	from, to := room(dir), room(local)
	switch {
	case strings.HasPrefix(dir, "cmd/"):
		return "" // the only place that knows everybody
	case local == "cmd" || strings.HasPrefix(local, "cmd/"):
		return "nobody imports cmd"
	case dir == "." && local != ".":
		return "the root package imports nobody"
	case strings.HasPrefix(dir, "internal/e2e"):
		return "" // drives the whole from outside
	case strings.HasPrefix(dir, "internal/") && to != "":
		return "mechanism knows no room"
	case strings.HasPrefix(dir, "api/") && to != "":
		return "the wire format knows no room"
	case from != "" && to != "" && from != to:
		return "rooms are siblings; declare a small interface and let cmd pass it in"
	}
	return ""
}

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

// stateAllowed lists package variables that hold state, with the reason.
// Error values, compiled expressions, tables that nobody writes to and
// embedded files are recognised and need no entry.
var stateAllowed = map[string]string{}

func TestNoInitNoState(t *testing.T) {
	for dir, p := range load(t) {
		if generated(p) {
			continue
		}
		written := writtenVars(p)
		for _, f := range p.files {
			if ast.IsGenerated(f) {
				continue
			}
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Name.Name == "init" && d.Recv == nil {
						t.Errorf("%s: init function; let the caller make what it needs", p.fset.Position(d.Pos()))
					}
				case *ast.GenDecl:
					if d.Tok != token.VAR {
						continue
					}
					for _, s := range d.Specs {
						for _, n := range s.(*ast.ValueSpec).Names {
							key := path.Join(dir, n.Name)
							if written[n.Name] && stateAllowed[key] == "" {
								t.Errorf("%s: package variable %s is written to: package state", p.fset.Position(n.Pos()), n.Name)
							}
							if stateful(s.(*ast.ValueSpec)) && stateAllowed[key] == "" {
								t.Errorf("%s: package variable %s holds state (a mutex, pool, map made empty or channel)", p.fset.Position(n.Pos()), n.Name)
							}
						}
					}
				}
			}
		}
	}
}

// writtenVars returns the names of package variables that some function of
// the package assigns to, by name and not shadowed by a local declaration in
// the same function.
func writtenVars(p *pkg) map[string]bool {
	vars, top := map[string]bool{}, map[any]bool{}
	for _, f := range p.files {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				for _, s := range g.Specs {
					top[s] = true
					for _, n := range s.(*ast.ValueSpec).Names {
						vars[n.Name] = true
					}
				}
			}
		}
	}
	out := map[string]bool{}
	for _, f := range p.files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				var targets []ast.Expr
				switch n := n.(type) {
				case *ast.AssignStmt:
					if n.Tok != token.DEFINE {
						targets = n.Lhs
					}
				case *ast.IncDecStmt:
					targets = []ast.Expr{n.X}
				}
				for _, x := range targets {
					for {
						if ix, ok := x.(*ast.IndexExpr); ok {
							x = ix.X
							continue
						}
						break
					}
					if id, ok := x.(*ast.Ident); ok && vars[id.Name] && packageLevel(id, top) {
						out[id.Name] = true
					}
				}
				return true
			})
		}
	}
	return out
}

// packageLevel says whether an identifier, as the parser resolved it, is a
// variable of the package: unresolved in its own file (declared in another), or
// declared by one of the package's top-level specs.
func packageLevel(id *ast.Ident, top map[any]bool) bool {
	return id.Obj == nil || top[id.Obj.Decl]
}

func stateful(s *ast.ValueSpec) bool {
	bad := func(x ast.Expr) bool {
		switch x := x.(type) {
		case *ast.SelectorExpr:
			pk, _ := x.X.(*ast.Ident)
			return pk != nil && (pk.Name == "sync" || pk.Name == "atomic")
		case *ast.ChanType:
			return true
		case *ast.IndexExpr:
			sel, _ := x.X.(*ast.SelectorExpr)
			if sel != nil {
				pk, _ := sel.X.(*ast.Ident)
				return pk != nil && pk.Name == "atomic"
			}
		}
		return false
	}
	if s.Type != nil && bad(s.Type) {
		return true
	}
	for _, v := range s.Values {
		switch v := v.(type) {
		case *ast.CompositeLit:
			if v.Type != nil && bad(v.Type) {
				return true
			}
			if _, isMap := v.Type.(*ast.MapType); isMap && len(v.Elts) == 0 {
				return true
			}
		case *ast.CallExpr:
			if id, ok := v.Fun.(*ast.Ident); ok && id.Name == "make" {
				return true
			}
		}
	}
	return false
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
