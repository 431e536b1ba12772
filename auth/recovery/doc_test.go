package recovery

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/auth"
)

// TestDiagram holds the package's documentation to what Next does: every way from one status to another, and by which inputs.
func TestDiagram(t *testing.T) {
	edges := map[string]map[string]bool{}
	now := t0.Add(89 * time.Minute)
	for _, w := range worlds() {
		for _, from := range Statuses {
			if !real(w, from) {
				continue
			}
			for _, state := range []auth.State{auth.Limited, auth.Locked, auth.Recovering} {
				for _, kind := range append(Inputs, inputApplied, inputRefused) {
					f := w.facts
					f.Account = account(state, f.Account.Touched)
					next, effects := Next(w.recovery(from), Input{Kind: kind, Right: true, Facts: f, Mail: &MailCode{}}, now)
					if len(effects) > 0 && effects[0].Kind == Refuse || next.Status == from {
						continue
					}
					edge := fmt.Sprintf("%s -> %s", from, next.Status)
					if edges[edge] == nil {
						edges[edge] = map[string]bool{}
					}
					edges[edge][string(kind)] = true
				}
			}
		}
	}
	var lines []string
	for _, from := range Statuses {
		for _, to := range Statuses {
			if by := edges[fmt.Sprintf("%s -> %s", from, to)]; by != nil {
				lines = append(lines, fmt.Sprintf("//\t%-8s -> %-8s  %s", from, to, strings.Join(slices.Sorted(maps.Keys(by)), ", ")))
			}
		}
	}
	want := strings.Join(lines, "\n")
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), want) {
		t.Errorf("the diagram in doc.go is not what Next does, which is:\n%s", want)
	}
}

// real says whether a recovery of that status can stand at that point.
func real(w world, s Status) bool {
	switch s {
	case Staff:
		return false // never stored: View says it
	case Pending, GivenUp:
		return len(w.proofs) == 0
	case Proving:
		return len(w.proofs) > 0 && w.hold.IsZero()
	case Held:
		return !w.hold.IsZero()
	}
	return true
}
