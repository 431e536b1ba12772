package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"

	"doorward/rules/event"
)

// payment is money that leaves an account.
type payment struct {
	kind    string
	to      payee
	amount  int64
	channel string
}

// pay asks for a payment and completes it a moment later, or fails for want of money. It returns the id of the request.
func (w *world) pay(now time.Time, p *person, s seat, r *rand.Rand, pay payment) string {
	if pay.amount < 1 {
		return ""
	}
	before := p.balance
	enough := pay.amount <= before
	if enough {
		p.balance -= pay.amount
	}
	after := p.balance
	w.transactions++
	transaction := fmt.Sprintf("%s-%d", w.till, w.transactions)
	fill := func(d *event.Data) {
		d.Transaction, d.Kind, d.Direction = transaction, pay.kind, "out"
		d.Amount, d.HasAmount, d.Currency = pay.amount, true, p.home.currency
		d.Counterparty, d.CounterpartyKind, d.Category, d.Channel = pay.to.id, pay.to.kind, pay.to.category, pay.channel
		d.BalanceBefore, d.BalanceAfter, d.HasBefore, d.HasAfter = before, before-pay.amount, true, true
		if !enough {
			d.BalanceAfter = before
		}
	}
	id := w.say(now, p, s, "transaction.requested", fill)
	w.at(now.Add(between(r, 400*time.Millisecond, 1500*time.Millisecond)), func(now time.Time) {
		if !enough {
			w.say(now, p, s, "transaction.failed", func(d *event.Data) { fill(d); d.Reason = "insufficient_funds" })
			return
		}
		w.say(now, p, s, "transaction.completed", func(d *event.Data) { fill(d); d.BalanceAfter = after })
		if pay.to.account != nil {
			w.receive(now, pay.to.account, pay.kind, transaction, payee{id: p.id, kind: p.role.kind()}, pay.amount*pay.to.account.home.scale/p.home.scale)
		}
	})
	return id
}

// receive is money that arrives. It comes without a session.
func (w *world) receive(now time.Time, p *person, kind, transaction string, from payee, amount int64) {
	before := p.balance
	p.balance += amount
	w.say(now, p, seat{}, "transaction.completed", func(d *event.Data) {
		d.Transaction, d.Kind, d.Direction = transaction, kind, "in"
		d.Amount, d.HasAmount, d.Currency = amount, true, p.home.currency
		d.Counterparty, d.CounterpartyKind, d.Channel = from.id, from.kind, "api"
		d.BalanceBefore, d.BalanceAfter, d.HasBefore, d.HasAfter = before, p.balance, true, true
	})
}
