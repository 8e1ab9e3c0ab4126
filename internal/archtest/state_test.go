package archtest

import (
	"go/ast"
	"go/token"
	"path"
	"testing"
)

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
