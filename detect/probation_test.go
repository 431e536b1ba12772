package detect

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/builtin"
	"doorward/rules/event"
)

// TestProbationHoldsNewPayees: after a recovery, money goes to payees that the account knew before it, and to no others.
func TestProbationHoldsNewPayees(t *testing.T) {
	set, err := builtin.Load()
	if err != nil {
		t.Fatal(err)
	}
	v := NewEvaluator(EvaluatorConfig{Rules: set})
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	n := 0
	pay := func(after time.Duration, to string) Decision {
		t.Helper()
		return payment(t, v, &n, start.Add(after), "transfer", "person", to, 900_000)
	}
	shop := func(after time.Duration, amount int) Decision {
		t.Helper()
		return payment(t, v, &n, start.Add(after), "payment", "merchant", "shop", amount)
	}

	act := func(after time.Duration, kind auth.ActKind, by string) {
		t.Helper()
		if err := v.Apply(auth.Act{ID: string(kind), Kind: kind, Account: "anna", At: start.Add(after), By: by, Reason: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	held := func(d Decision) bool { return slices.Contains(d.Refuse, auth.RefuseMoneyOut) }
	if held(pay(0, "friend")) {
		t.Error("an open account's payment is held")
	}
	act(48*time.Hour, auth.ActLock, "staff:ana")
	act(49*time.Hour, auth.ActRecovered, "owner")
	if d := pay(50*time.Hour, "friend"); d.State != auth.Probation || held(d) {
		t.Errorf("a payee known before the recovery: %+v", d)
	}
	for _, after := range []time.Duration{51 * time.Hour, 60 * time.Hour} { // asking again does not make it known
		if d := pay(after, "mule"); !held(d) {
			t.Errorf("a payee first seen after the recovery: %+v", d)
		}
	}
	if held(shop(61*time.Hour, smallPayment)) || !held(shop(62*time.Hour, smallPayment+1)) {
		t.Error("a shop gets small payments and no others")
	}
	if d := pay((49+73)*time.Hour, "mule"); d.State != auth.Open || held(d) {
		t.Errorf("after probation: %+v", d)
	}
}

// payment is decided by v: the n-th event, of money out.
func payment(t *testing.T, v *Evaluator, n *int, at time.Time, kind, toKind, to string, amount int) Decision {
	t.Helper()
	*n++
	e, bad := event.DecodeLine(fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/t","type":"transaction.requested","subject":"anna","time":%q,"data":{"transaction":"t%d","kind":%q,"direction":"out","amount":%d,"currency":"EUR","counterparty":%q,"counterparty_kind":%q,"balance_before":10000000}}`,
		*n, at.Format(time.RFC3339), *n, kind, amount, to, toKind))
	if bad != nil {
		t.Fatal(bad)
	}
	h, err := v.Handle(e)
	if err != nil {
		t.Fatal(err)
	}
	return h.decision(e)
}
