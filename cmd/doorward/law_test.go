package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// top is the order of the folders: a package imports from its own or from one further right, never left (DESIGN, "Names").
var top = []string{"cmd", "detect", "rules", "auth", "store"}

// doors are the dependencies that one package may import.
var doors = map[string]string{
	"github.com/segmentio/kafka-go":         "detect/kafka",
	"github.com/twmb/franz-go":              "detect/kafka",
	"github.com/dgraph-io/badger":           "store/badger",
	"github.com/jackc/pgx":                  "store/postgres",
	"github.com/pquerna/otp":                "auth/totp",
	"github.com/prometheus/client_golang":   "cmd/doorward",
	"github.com/oschwald/maxminddb-golang":  "rules/geo",
	"github.com/expr-lang/expr":             "rules",
	"github.com/wneessen/go-mail":           "auth/notice",
	"github.com/nicksnyder/go-i18n":         "auth/web",
	"github.com/santhosh-tekuri/jsonschema": "rules/event",
	"filippo.io/age":                        "store/backup",
}

// noDoor is the package that may import what it likes: the obvious stack, which `doorward bench` is compared with and nothing else imports.
const noDoor = "cmd/doorward/baseline"

// timeless are the packages, or files, whose functions get time as an argument and use no chance: what decides.
var timeless = []string{
	"rules", "rules/event", "rules/window", "rules/builtin", "rules/geo", "detect/cases", "store/journal",
	"detect/handle.go", "detect/evaluator.go", "detect/verdict.go", "detect/consequence.go", "detect/apply.go", "detect/effects.go",
	"detect/accounts.go", "detect/seen.go", "detect/ids.go", "detect/decision.go", "detect/replay.go", "detect/take.go", "detect/commit.go",
	"detect/progress.go", "detect/checkpoint.go", "detect/backfill.go", "detect/scenario",
	"auth/transition.go", "auth/apply.go", "auth/change.go", "auth/account.go", "auth/recovery/next.go", "auth/recovery/demand.go",
}

type source struct {
	name string // "detect/kafka/fetch.go"
	file *ast.File
	test bool
}

// sources parses every Go file of the module.
func sources(t *testing.T) (root string, all []source) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && p != root || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if path.Ext(p) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(set, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(name), f, strings.HasSuffix(name, "_test.go")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files found under %s", len(all), root)
	}
	return root, all
}

func TestTopLevel(t *testing.T) {
	root, _ := sources(t)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	allowed := append([]string{"go.mod", "go.sum", "README.md"}, top...)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) && e.Name() != "doorward" && !strings.HasPrefix(e.Name(), "doorward-data") {
			t.Errorf("%s at the top level: it holds %s and dotfiles, nothing else", e.Name(), strings.Join(allowed, " "))
		}
	}
}

func TestImportOrder(t *testing.T) {
	_, all := sources(t)
	for _, s := range all {
		own := slices.Index(top, strings.Split(s.name, "/")[0])
		for _, i := range s.file.Imports {
			p := strings.Trim(i.Path.Value, `"`)
			if rest, ours := strings.CutPrefix(p, "doorward/"); ours {
				if other := slices.Index(top, strings.Split(rest, "/")[0]); other < own {
					t.Errorf("%s imports %s: the order is %s", s.name, p, strings.Join(top, " > "))
				}
			}
			if p == "doorward/"+noDoor && path.Dir(s.name) != "cmd/doorward" {
				t.Errorf("%s imports %s: it is for the bench alone", s.name, p)
			}
			for dep, door := range doors {
				if path.Dir(s.name) == noDoor {
					continue
				}
				if strings.HasPrefix(p, dep) && path.Dir(s.name) != door && !(s.test && strings.HasPrefix(dep, "github.com/twmb")) {
					t.Errorf("%s imports %s: %s is the only door to it", s.name, p, door)
				}
			}
		}
	}
}

func TestNoClockInWhatDecides(t *testing.T) {
	_, all := sources(t)
	seen := map[string]bool{}
	for _, s := range all {
		if s.test {
			continue
		}
		where := path.Dir(s.name)
		if slices.Contains(timeless, s.name) {
			where = s.name
		}
		if !slices.Contains(timeless, where) {
			continue
		}
		seen[where] = true
		for _, i := range s.file.Imports {
			if p := strings.Trim(i.Path.Value, `"`); strings.HasPrefix(p, "math/rand") || p == "crypto/rand" || p == "hash/maphash" {
				t.Errorf("%s imports %s: what decides uses no chance", s.name, p)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Tick", "NewTimer", "NewTicker"}, sel.Sel.Name) {
				t.Errorf("%s uses time.%s: time is an argument of what decides", s.name, sel.Sel.Name)
			}
			return true
		})
	}
	for _, w := range timeless {
		if !seen[w] {
			t.Errorf("%s is in the list of what decides and does not exist", w)
		}
	}
}

// TestPackagesSayWhatTheyOwn: every package has a doc comment whose first sentence says what it owns.
func TestPackagesSayWhatTheyOwn(t *testing.T) {
	_, all := sources(t)
	docs := map[string]string{}
	for _, s := range all {
		if s.test {
			continue
		}
		dir := path.Dir(s.name)
		if s.file.Doc != nil {
			docs[dir] += s.file.Doc.Text()
		} else if _, ok := docs[dir]; !ok {
			docs[dir] = ""
		}
	}
	for dir, doc := range docs {
		if dir != "cmd/doorward" && !strings.Contains(doc, "owns") {
			t.Errorf("%s: its doc comment does not say what it owns", dir)
		}
	}
}

// TestHandleFitsAScreen: the path of one event is at most 60 lines and reads as the six words, in order.
func TestHandleFitsAScreen(t *testing.T) {
	root, _ := sources(t)
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, filepath.Join(root, "detect", "handle.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != "Handle" {
			continue
		}
		if lines := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; lines > 60 {
			t.Errorf("Handle is %d lines long", lines)
		}
		at := 0
		for _, word := range []string{"// event:", "// facts:", "// findings:", "// verdict:", "// consequence:", "// journal:"} {
			found := false
			for _, c := range f.Comments {
				if int(c.Pos()) > at && int(c.Pos()) > int(fn.Pos()) && strings.HasPrefix(c.List[0].Text, word) {
					at, found = int(c.Pos()), true
					break
				}
			}
			if !found {
				t.Errorf("Handle does not say %q in its place", word)
			}
		}
		return
	}
	t.Error("no Handle")
}
