package event

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiledSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	names, err := fs.Glob(Schemas(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := c.AddResource("mem:///"+name, parseSchema(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("mem:///event.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parseSchema(t testing.TB, name string) any {
	t.Helper()
	text, err := fs.ReadFile(Schemas(), name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return doc
}

// schemaTakes reports whether a line parses and is valid.
func schemaTakes(s *jsonschema.Schema, line []byte) bool {
	if !json.Valid(line) {
		return false
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	return err == nil && s.Validate(doc) == nil
}

func TestSchemaAndDecoderAgree(t *testing.T) {
	s := compiledSchema(t)
	for i, line := range examples(t) {
		if !schemaTakes(s, line) {
			t.Errorf("the schemas refuse example %d of EVENTS.md", i+1)
		}
	}
	for _, v := range verdicts {
		want := v.code == "" || v.blind != ""
		if bytes.Contains([]byte(v.line), []byte("\xff")) {
			continue // json.Valid lets bytes pass that are not UTF-8, and with it every schema
		}
		if got := schemaTakes(s, []byte(v.line)); got != want {
			t.Errorf("%s: schema takes it: %v, decoder: %q, blind: %q", v.name, got, v.code, v.blind)
		}
	}
}

// The tables of the decoder and the schemas must name the same fields, types and values.
func TestSchemasNameWhatTheTablesName(t *testing.T) {
	properties := func(name string) map[string]any {
		return parseSchema(t, name).(map[string]any)["properties"].(map[string]any)
	}
	common := properties("common.json")
	for _, f := range fields {
		if common[f.name] == nil {
			t.Errorf("common.json lacks %s", f.name)
		}
	}
	if len(common) != len(fields) {
		t.Errorf("common.json has %d fields, the decoder %d", len(common), len(fields))
	}
	for _, g := range groups {
		own := properties(g.schema)
		if len(own) != len(g.own) {
			t.Errorf("%s has fields %v, the decoder %v", g.schema, own, g.own)
		}
		for _, name := range g.own {
			list := allowed(g.types[0], name)
			if name == "reason" {
				list = nil // event.json says it, as it binds one type of the row
			}
			if got := enumerated(own[name]); !slices.Equal(got, list) {
				t.Errorf("%s: %s may be %v, in the decoder %v", g.schema, name, got, list)
			}
		}
	}
	if got := namedTypes(t); !slices.Equal(got, Types()) {
		t.Errorf("event.json names the types %v, the decoder %v", got, Types())
	}
}

// enumerated returns the values that a property allows beside none at all.
func enumerated(property any) []string {
	p, ok := property.(map[string]any)
	if !ok {
		return nil
	}
	var list []string
	for _, v := range p["enum"].([]any) {
		if s, ok := v.(string); ok && s != "" {
			list = append(list, s)
		}
	}
	return list
}

// namedTypes returns the types for which event.json has a schema of their data.
func namedTypes(t *testing.T) []Type {
	var all []Type
	for _, c := range parseSchema(t, "event.json").(map[string]any)["allOf"].([]any) {
		of := c.(map[string]any)["if"].(map[string]any)["properties"].(map[string]any)["type"].(map[string]any)
		list, ok := of["enum"].([]any)
		if !ok {
			continue
		}
		for _, name := range list {
			all = append(all, Type(name.(string)))
		}
	}
	return all
}
