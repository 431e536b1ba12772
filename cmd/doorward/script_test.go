package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// code runs a command that has to end with an exit code: code N COMMAND ARG...
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// keys checks the names of a JSON object and their order: keys PLACE NAME... A place is a line of stdout (1 is the first, -1 the last) and
// what to follow in it: 1, 1.rules.0, -1.event. Names that a script leaves out are missing from the contract, names that are not printed
// break it.
func keys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: keys PLACE NAME...")
	}
	path := strings.Split(args[0], ".")
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	n, err := strconv.Atoi(path[0])
	ts.Check(err)
	if n < 0 {
		n += len(lines) + 1
	}
	if n < 1 || n > len(lines) {
		ts.Fatalf("stdout has %d lines", len(lines))
	}
	at := json.RawMessage(lines[n-1])
	for _, step := range path[1:] {
		at = follow(ts, at, step)
	}
	if got := objectNames(ts, at); !slices.Equal(got, args[1:]) {
		ts.Fatalf("names at %s\n got %s\nwant %s", args[0], strings.Join(got, " "), strings.Join(args[1:], " "))
	}
}

func follow(ts *testscript.TestScript, at json.RawMessage, step string) json.RawMessage {
	if i, err := strconv.Atoi(step); err == nil {
		var list []json.RawMessage
		ts.Check(json.Unmarshal(at, &list))
		if i >= len(list) {
			ts.Fatalf("%s: the list has %d members", step, len(list))
		}
		return list[i]
	}
	var object map[string]json.RawMessage
	ts.Check(json.Unmarshal(at, &object))
	if object[step] == nil {
		ts.Fatalf("no %q in %s", step, at)
	}
	return object[step]
}

// objectNames are the names of an object in the order they stand in.
func objectNames(ts *testscript.TestScript, object json.RawMessage) []string {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		ts.Fatalf("not an object: %s", object)
	}
	var all []string
	for d.More() {
		t, err := d.Token()
		ts.Check(err)
		all = append(all, t.(string))
		var skipped json.RawMessage
		ts.Check(d.Decode(&skipped))
	}
	return all
}
