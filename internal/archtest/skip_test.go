package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// A test that is skipped where the continuous build runs proves nothing there,
// and nobody notices. What may be missing goes through internal/shared; a test
// skips by itself only where somebody has to ask for it, or asked for less.
func TestSkipsAreAskedFor(t *testing.T) {
	for name, skips := range skippers(t) {
		for pos, cond := range skips {
			if !asked(cond) {
				t.Errorf("%s skips at %s: let shared.Missing or shared.Tool do it", name, pos)
			}
		}
	}
}

// skippers returns for each test file the places that skip, with the
// condition of the innermost if around them.
func skippers(t *testing.T) map[string]map[string]ast.Expr {
	t.Helper()
	out := map[string]map[string]ast.Expr{}
	for _, name := range sources(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, filepath.Join(root, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]ast.Expr{}
		var around []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				around = around[:len(around)-1]
				return true
			}
			around = append(around, n)
			if skips(n) {
				found[fset.Position(n.Pos()).String()] = condition(around)
			}
			return true
		})
		out[name] = found
	}
	return out
}

// skips says whether a node is a call like t.Skip.
func skips(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !strings.HasPrefix(sel.Sel.Name, "Skip") {
		return false
	}
	who, ok := sel.X.(*ast.Ident)
	return ok && (who.Name == "t" || who.Name == "tb" || who.Name == "b")
}

// condition returns what the innermost if around the last node asks, nil if
// there is none.
func condition(around []ast.Node) ast.Expr {
	for i := len(around) - 1; i >= 0; i-- {
		if f, ok := around[i].(*ast.IfStmt); ok {
			return f.Cond
		}
	}
	return nil
}

// asked says whether a condition is what somebody asked for when starting the
// tests: -short, a flag of the test, or a variable of the environment.
func asked(cond ast.Expr) bool {
	found := false
	if cond == nil {
		return false
	}
	ast.Inspect(cond, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StarExpr:
			found = true
		case *ast.SelectorExpr:
			found = found || n.Sel.Name == "Short" || n.Sel.Name == "Getenv"
		}
		return true
	})
	return found
}
