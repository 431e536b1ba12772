package event

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// examples returns the two events of EVENTS.md, as printed there.
func examples(t testing.TB) [][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/examples.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if len(lines) != 2 {
		t.Fatalf("%d examples, EVENTS.md has 2", len(lines))
	}
	return lines
}

func TestExamplesOfTheContract(t *testing.T) {
	first := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	second := time.Date(2026, 3, 1, 8, 3, 10, 0, time.UTC)
	want := []*Event{
		{
			ID: "l-1", Source: "/wallet/login", Type: "login.failed", Account: "acct-42", Time: first, Arrival: first, Stated: first,
			Data: Data{IP: "203.0.113.9", Device: "dev-7", UserAgent: "Mozilla/5.0", Method: "password", Reason: "bad_password"},
		},
		{
			ID: "t-9", Source: "/wallet/ledger", Type: "transaction.requested", Account: "acct-42", Time: second, Arrival: second,
			Stated: second,
			Data: Data{IP: "203.0.113.9", Device: "dev-7", Transaction: "tx-9", Kind: "transfer", Direction: "out", Amount: 250000,
				HasAmount: true, Currency: "CNY", Counterparty: "acct-77", CounterpartyKind: "person", BalanceBefore: 251000, HasBefore: true,
				BalanceAfter: 1000, HasAfter: true},
		},
	}
	for i, line := range examples(t) {
		got, err := DecodeLine(line)
		if err != nil {
			t.Fatalf("example %d: %v", i+1, err)
		}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("example %d (-want +got):\n%s", i+1, diff)
		}
	}
}
