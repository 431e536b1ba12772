package event

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestContractNamesWhatIsTaken: EVENTS.md, for those who send events, has the types and the examples of the code.
func TestContractNamesWhatIsTaken(t *testing.T) {
	b, err := os.ReadFile("EVENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "| type | fields |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var named []Type
	for _, row := range strings.Split(table, "\n") {
		for _, m := range regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(strings.Split(row, "|")[1], -1) {
			named = append(named, Type(m[1]))
		}
	}
	want := Types()
	slices.Sort(named)
	slices.Sort(want)
	if !slices.Equal(named, want) {
		t.Errorf("EVENTS.md names\n%q\nand the types are\n%q", named, want)
	}
	for _, e := range examples(t) {
		if !strings.Contains(string(b), "\n"+string(e)+"\n") {
			t.Errorf("EVENTS.md lacks the example %s", e)
		}
	}
}
