//go:build accept

package faults

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The documentation's table has a line for every row, with its fault, and every test that it names exists, here or elsewhere.
func TestTable(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	lines := tableLines(f.Doc.Text())
	for _, r := range rows {
		if !slices.ContainsFunc(lines, func(l []string) bool { return l[0] == r.fault && l[1] == "TestFault/"+r.name }) {
			t.Errorf("the table has no line for %s TestFault/%s", r.fault, r.name)
		}
	}
	for _, l := range lines {
		name, here := strings.CutPrefix(l[1], "TestFault/")
		if here && !slices.ContainsFunc(rows, func(r row) bool { return r.name == name && r.fault == l[0] }) {
			t.Errorf("the table's line %s %s has no test", l[0], l[1])
		}
		if !here && !exists(t, l[1]) {
			t.Errorf("the table's line %s: there is no test %s", l[0], l[1])
		}
	}
}

var tableLine = regexp.MustCompile(`(?m)^\s+(F-\d+\S*|issue)\s+(\S+)\s+(.+)$`)

func tableLines(doc string) (lines [][]string) {
	for _, m := range tableLine.FindAllStringSubmatch(doc, -1) {
		lines = append(lines, m[1:])
	}
	return lines
}

// exists reports whether a test "folder.TestName" stands in that folder of the module.
func exists(t *testing.T, name string) bool {
	t.Helper()
	folder, test, ok := strings.Cut(name, ".")
	if !ok {
		return false
	}
	files, err := filepath.Glob(filepath.Join("../../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+test+"(") {
			return true
		}
	}
	return false
}
