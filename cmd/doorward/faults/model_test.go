package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// good is a history in which all is as it has to be: an account is drained, locked, let in by staff, and counted before and after.
func good() *History {
	h := NewHistory()
	event := func(id, kind string, drain bool) {
		h.Send("/p " + id)
		h.Acknowledge([]string{"/p " + id})
		h.Input(Event{Offset: int64(len(h.Events)), Account: "a", Type: kind, Name: "/p " + id, Drain: drain})
	}
	put := func(topic, id, value string, says Newest) {
		h.Read(Record{Topic: "doorward." + topic + ".v1", ID: id, Key: "a", Value: value}, says)
	}
	tally := func(id, event string, sequence, logins, ends int) {
		put("findings", id, fmt.Sprintf(`{"id":"%s","rule":"faults.tally","account":"a","event":{"source":"/p","id":"%s"},"sequence":%d,"evidence":[`+
			`{"fact":"count(\"login.succeeded\", \"30d\")","value":%d},{"fact":"count(\"session.ended\", \"30d\")","value":%d},`+
			`{"fact":"count(\"x\", \"30d\")","value":0},{"fact":"count(\"y\", \"30d\")","value":0},{"fact":"count(\"z\", \"30d\")","value":0},{"fact":"count(\"w\", \"30d\")","value":0}]}`,
			id, event, sequence, logins, ends), Newest{})
	}
	event("1", "login.succeeded", false)
	event("2", "session.ended", false)
	event("3", "transaction.requested", true)
	event("4", "login.succeeded", false)
	event("5", "session.ended", false)
	tally("f-2", "2", 2, 1, 1)
	put("findings", "f-3", `{"id":"f-3","rule":"faults.drain","account":"a","event":{"source":"/p","id":"3"},"sequence":3}`, Newest{})
	put("account-state", "s-1", `{"account":"a","state":"locked","version":1,"previous_version":0}`, Newest{"locked", 1})
	put("notices", "n-1", `{"id":"n-1","account":"a","kind":"locked","finding":"f-3"}`, Newest{})
	put("audit", "entry-1", `{"position":1,"kind":"state.changed","account":"a","by":"rule","cause":"f-3","from":"","to":"locked","version":1,"sequence":3}`, Newest{})
	h.Did(Act{Account: "a", Kind: "unlock", Done: true, State: "open", Version: 2})
	put("account-state", "s-2", `{"account":"a","state":"open","version":2,"previous_version":1}`, Newest{"open", 2})
	put("audit", "entry-2", `{"position":2,"kind":"state.changed","account":"a","by":"operator","cause":"act","from":"locked","to":"open","version":2,"sequence":4}`, Newest{})
	tally("f-5", "5", 6, 1, 1)
	h.Looked(Look{Account: "a", State: "open", Version: 2, Known: 2})
	h.Decided(Answer{Event: "/p 3", Findings: []string{"f-3"}, Raw: "locked"})
	return h
}

// The model finds nothing wrong with a good history, and everything that may go wrong in a bad one.
func TestModel(t *testing.T) {
	if p := Check(good()); len(p) > 0 {
		t.Errorf("a good history: %s", strings.Join(p, "\n"))
	}
	change := func(id, from, to string) func(*History) {
		return func(h *History) {
			for i := range h.Records {
				if h.Records[i].ID == id {
					h.Records[i].Value = strings.ReplaceAll(h.Records[i].Value, from, to)
				}
			}
		}
	}
	without := func(id string) func(*History) {
		return func(h *History) {
			for i := range h.Records {
				if h.Records[i].ID == id {
					h.Records[i].Topic = "nothing"
				}
			}
		}
	}
	again := func(id, as, from, to string) func(*History) {
		return func(h *History) {
			for _, r := range h.Records {
				if r.ID == id {
					r.ID, r.Value = as, strings.ReplaceAll(r.Value, from, to)
					h.Records = append(h.Records, r)
					return
				}
			}
		}
	}
	for what, c := range map[string]struct {
		spoil func(*History)
		says  string
	}{
		"a redelivery":                {again("f-3", "f-3", "", ""), ""},
		"an event lost by the broker": {func(h *History) { h.Acknowledge([]string{"/p 9"}) }, "is not in the topic"},
		"a finding lost":              {without("f-2"), "was not found"},
		"a lock's finding lost":       {without("f-3"), "was not found"},
		"an event counted twice":      {change("f-2", `"value":1}`, `"value":2}`), "the topic has 1"},
		"an event not counted":        {change("f-2", `"value":1}`, `"value":0}`), "the topic has 1"},
		"a finding found twice":       {again("f-3", "f-4", "f-3", "f-4"), "had two effects"},
		"a finding in two forms":      {again("f-3", "f-3", "drain", "rain"), "in two forms"},
		"a finding of nothing":        {change("f-3", `"id":"3"`, `"id":"33"`), "which that account has not"},
		"a state lost":                {without("s-1"), "version 2 (before it 1) follows 0"},
		"a state that goes back":      {again("s-1", "s-1", "", ""), "is not version 2"},
		"a state in two forms":        {again("s-2", "s-2", "open", "locked"), "in two forms"},
		"a way that is none":          {change("s-1", "locked", "probation"), "goes from open to probation"},
		"a lock that nobody ended":    {func(h *History) { h.Acts = nil }, "nobody did that"},
		"a lock that a rule ended":    {change("entry-2", "operator", "rule"), "nobody did that"},
		"a lock not in the journal":   {change("entry-1", `"version":1`, `"version":7`), "in the journal it is"},
		"a hole in the journal":       {change("entry-2", `"position":2`, `"position":3`), "follows 1"},
		"two mails for one cause":     {again("n-1", "n-2", "n-1", "n-2"), "had two effects"},
		"a look at the past":          {func(h *History) { h.Looks[0].Version = 1 }, "when 2 was published"},
		"an unsure look":              {func(h *History) { h.Looks[0].Version, h.Looks[0].Unknown = 0, true }, ""},
		"an act that vanished":        {func(h *History) { h.Acts[0].Version = 3 }, "was never published"},
		"two answers":                 {func(h *History) { h.Decided(Answer{Event: "/p 3", Raw: "open"}) }, "had two effects"},
		"a finding only answered":     {func(h *History) { h.Answers[0].Findings[0] = "f-9" }, "was never published"},
		"a good dead letter": {func(h *History) {
			h.Read(Record{Topic: "doorward.dlq.v1", From: "topic/0/2"}, Newest{})
		}, "is a dead letter"},
	} {
		t.Run(what, func(t *testing.T) {
			h := good()
			c.spoil(h)
			p := strings.Join(Check(h), "\n")
			if c.says == "" && p != "" || !strings.Contains(p, c.says) {
				t.Errorf("the model says %q, want %q", p, c.says)
			}
		})
	}
}

// A reference has to be short enough to be right by reading it.
func TestModelIsShort(t *testing.T) {
	b, err := os.ReadFile("model.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > 200 {
		t.Errorf("model.go has %d lines", n)
	}
}
