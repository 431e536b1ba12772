package scenario

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"flag"
	"io"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules/builtin"
	"doorward/rules/event"
)

var (
	labelled = flag.String("events", "", "NDJSON (.gz) of labelled events to judge the shipped rules on")
	labels   = flag.String("labels", "", "CSV of id,label for -events: every id in it is an event that should be found")
	kindOnly = flag.String("kind", "", "judge only events of this data.kind, such as transfer")
)

// TestTuning says what the shipped rules find in a file of labelled events: how many of those that should be found are challenged, limited
// or locked at the event itself, and per rule how often it fires and is right. Without a file there is nothing to judge.
//
//	go test ./detect/scenario -run Tuning -v -events events.ndjson.gz -labels labels.csv -kind transfer
func TestTuning(t *testing.T) {
	if *labelled == "" {
		return
	}
	bad := readLabels(t, *labels)
	set, err := builtin.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := detect.NewReplay(detect.ReplayConfig{Rules: set})
	hits, right := map[string]int{}, map[string]int{}
	var n, judged, wanted, flagged, found int
	began := time.Now()
	eachLine(t, *labelled, func(line []byte) {
		e, wrong := event.DecodeLine(line)
		if wrong != nil {
			t.Fatalf("event %d: %v", n+1, wrong)
		}
		n++
		findings, err := r.Take(e)
		if err != nil {
			t.Fatal(err)
		}
		tells := false
		for _, f := range findings {
			hits[f.Rule]++
			if bad[e.ID] {
				right[f.Rule]++
			}
			response, _ := auth.ParseResponse(f.Response)
			tells = tells || response >= auth.Challenge
		}
		if *kindOnly != "" && e.Kind != *kindOnly {
			return
		}
		judged++
		if bad[e.ID] {
			wanted++
		}
		if tells {
			flagged++
			if bad[e.ID] {
				found++
			}
		}
	})
	took := time.Since(began)
	var names []string
	for rule := range hits {
		names = append(names, rule)
	}
	sort.Strings(names)
	for _, rule := range names {
		t.Logf("%-28s %6d findings, %5d on labelled events, precision %.3f", rule, hits[rule], right[rule], float64(right[rule])/float64(hits[rule]))
	}
	t.Logf("%d events in %s (%.0f/s), %d judged, %d of %d found (recall %.3f), %d flagged (precision %.3f), faults %d", n, took.Round(time.Millisecond),
		float64(n)/took.Seconds(), judged, found, wanted, float64(found)/float64(max(1, wanted)), flagged, float64(found)/float64(max(1, flagged)), r.Counts().Faults)
}

func readLabels(t *testing.T, file string) map[string]bool {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]bool{}
	for _, row := range rows[1:] {
		bad[row[0]] = true
	}
	return bad
}

func eachLine(t *testing.T, file string, f func([]byte)) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var from io.Reader = in
	if strings.HasSuffix(file, ".gz") {
		if from, err = gzip.NewReader(in); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 128<<10)
	for lines.Scan() {
		f(bytes.Clone(lines.Bytes())) // the replay may keep parts of it
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
