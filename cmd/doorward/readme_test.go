package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"doorward/detect"
	"doorward/detect/scenario"
	"doorward/rules"
	"doorward/rules/event"
)

// What the README shows is run, so that it stays true.

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// snippets are the fenced blocks of a language, as they stand, without the indentation of the fence.
func snippets(t *testing.T, language string) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile("(?ms)^( *)```([a-z]*)\n(.*?)^ *```$").FindAllStringSubmatch(readme(t), -1) {
		if m[2] == language {
			all = append(all, regexp.MustCompile("(?m)^"+m[1]).ReplaceAllString(m[3], ""))
		}
	}
	return all
}

// snippet is the one block of a language that holds a text.
func snippet(t *testing.T, language, holds string) string {
	t.Helper()
	all := slices.DeleteFunc(snippets(t, language), func(s string) bool { return !strings.Contains(s, holds) })
	if len(all) != 1 {
		t.Fatalf("README has %d snippets of %q with %q, want 1", len(all), language, holds)
	}
	return all[0]
}

func TestReadmeRuleAndItsStory(t *testing.T) {
	fsys := fstest.MapFS{"readme.yaml": {Data: []byte(snippet(t, "yaml", "- id:"))}}
	set, err := rules.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	r, err := scenario.Run([]byte(snippet(t, "txtar", "-- want --")), set)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Passed {
		t.Errorf("README's scenario on README's rule:\n%s", r.Diff)
	}
}

// TestReadmeEvent: the example is taken in all three modes, and does what the README says of it.
func TestReadmeEvent(t *testing.T) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(snippet(t, "json", "specversion"))); err != nil {
		t.Fatal(err)
	}
	var parts struct {
		SpecVersion, ID, Source, Type, Subject, Time string
		Data                                         json.RawMessage
	}
	if err := json.Unmarshal(compact.Bytes(), &parts); err != nil {
		t.Fatal(err)
	}
	type header struct {
		Key   string
		Value []byte
	}
	attribute := func(name, value string) header { return header{"ce_" + name, []byte(value)} }
	for mode, r := range map[string]struct {
		headers []header
		value   []byte
	}{
		"plain":      {nil, compact.Bytes()},
		"structured": {[]header{{"content-type", []byte("application/cloudevents+json")}}, compact.Bytes()},
		"binary": {[]header{attribute("specversion", parts.SpecVersion), attribute("id", parts.ID), attribute("source", parts.Source),
			attribute("type", parts.Type), attribute("subject", parts.Subject), attribute("time", parts.Time)}, parts.Data},
	} {
		e, bad := event.DecodeRecord([]byte(parts.Subject), r.value, r.headers, time.Date(2026, 3, 1, 8, 3, 11, 0, time.UTC))
		if bad != nil {
			t.Errorf("%s: %v", mode, bad)
			continue
		}
		set, err := loadRules("")
		if err != nil {
			t.Fatal(err)
		}
		replay := detect.NewReplay(detect.ReplayConfig{Rules: set})
		if _, err := replay.Take(e); err != nil {
			t.Fatal(err)
		}
		if a := replay.Account(e.Account); a.ID != "acct-42" || a.State != "locked" || a.Reason.Code != "drained" {
			t.Errorf("%s: account %s is %s because of %q, README says that acct-42 is locked for a drain", mode, a.ID, a.State, a.Reason.Code)
		}
	}
}

func TestReadmeSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doorward.yaml")
	if err := os.WriteFile(file, []byte(snippet(t, "yaml", "brokers:")), 0o600); err != nil {
		t.Fatal(err)
	}
	c := defaults()
	if err := c.readFile(file); err != nil {
		t.Fatal(err)
	}
	c.Kafka.Password = "from the environment"
	if err := c.check(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(c.Brokers, words{"broker-1:9092", "broker-2:9092"}) || c.Kafka.SASL != "scram-sha-512" || len(c.Contacts) != 1 {
		t.Errorf("README's settings were read as %+v", c)
	}
	want := map[string]bool{"contacts": true} // in the file only
	for _, s := range settings {
		want[s.key] = true
	}
	_, table, _ := strings.Cut(readme(t), "| key | default | |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, row := range strings.Split(table, "\n") {
		for _, m := range regexp.MustCompile("`([a-z._]+)`").FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			if !want[m[1]] {
				t.Errorf("README names %q, which is no setting", m[1])
			}
			delete(want, m[1])
		}
	}
	for key := range want {
		t.Errorf("README does not name the setting %q", key)
	}
}

// TestReadmePlaces: every `file.go` `Type.Func` of the README is there.
func TestReadmePlaces(t *testing.T) {
	_, all := sources(t)
	places := regexp.MustCompile("(?s)`([a-z/_]+\\.go)`((?:[ \n(|]*`[A-Za-z.]+`[a-z ,]*)*)").FindAllStringSubmatch(readme(t), -1)
	if len(places) < 7 {
		t.Fatalf("only %d places found in the README", len(places))
	}
	for _, p := range places {
		i := slices.IndexFunc(all, func(s source) bool { return s.name == p[1] })
		if i < 0 {
			t.Errorf("README names %s, which is not there", p[1])
			continue
		}
		var have []string
		for _, d := range all[i].file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				have = append(have, receiver(f)+f.Name.Name)
			}
		}
		for _, name := range regexp.MustCompile("`([A-Za-z.]+)`").FindAllStringSubmatch(p[2], -1) {
			if !slices.Contains(have, name[1]) {
				t.Errorf("README names %s in %s; there is %s", name[1], p[1], strings.Join(have, ", "))
			}
		}
	}
}

// receiver is a method's type with a dot: "Set.".
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	at := f.Recv.List[0].Type
	if p, ok := at.(*ast.StarExpr); ok {
		at = p.X
	}
	return at.(*ast.Ident).Name + "."
}

// TestReadmeCommands: every command line of the README is one that the program takes.
func TestReadmeCommands(t *testing.T) {
	lines := regexp.MustCompile("(?m)(?:^ *(?:\\./|go run \\./cmd/)?|`)doorward( [^`\n]*)").FindAllStringSubmatch(readme(t), -1)
	if len(lines) < 12 {
		t.Fatalf("only %d command lines found in the README", len(lines))
	}
	for _, m := range lines {
		line, _, _ := strings.Cut(m[1], " #")
		line, _, _ = strings.Cut(line, " >")
		root := newRoot(&terminal{in: strings.NewReader(""), out: io.Discard, talk: io.Discard})
		root.InitDefaultCompletionCmd()
		c, rest, err := root.Find(strings.Fields(line))
		if err != nil || c == root && !strings.HasPrefix(line, " --help") {
			t.Errorf("README: doorward%s: no such command (%v)", line, err)
			continue
		}
		c.InitDefaultHelpFlag()
		if err := c.ParseFlags(rest); err != nil {
			t.Errorf("README: doorward%s: %v", line, err)
		} else if c.Args != nil && len(c.Flags().Args()) > 0 {
			if err := c.Args(c, c.Flags().Args()); err != nil {
				t.Errorf("README: doorward%s: %v", line, err)
			}
		}
	}
}
