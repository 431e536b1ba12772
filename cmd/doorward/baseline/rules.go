package baseline

import (
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// facts are what the rules see of an event.
type facts struct {
	Type, Reason, Method, Country, Kind, Direction, Channel, Currency, PayeeKind string
	Amount, Before, After                                                        float64
	Failed10m, Logins24h, Payments1h, Payments24h, Sum24h, Events30d, Resets     float64
	Devices, Addresses                                                           float64
	AgeDays, Speed, Distance, Hour                                               float64
	KnownDevice, KnownAddress, KnownPayee                                        bool
}

// sources are 40 rules of two to four conditions over the same event types as Doorward's own.
var sources = [...]string{
	`Type == "login.failed" and Failed10m >= 5`,
	`Type == "login.failed" and Failed10m >= 20`,
	`Type == "login.failed" and Failed10m >= 3 and not KnownDevice`,
	`Type == "login.failed" and Reason == "unknown_account" and not KnownAddress`,
	`Type == "login.failed" and Reason == "mfa_failed" and Failed10m >= 3`,
	`Type == "login.succeeded" and Failed10m >= 5 and not KnownDevice`,
	`Type == "login.succeeded" and Speed >= 1000 and Distance >= 500`,
	`Type == "login.succeeded" and Speed >= 1000 and not KnownDevice`,
	`Type == "login.succeeded" and Devices >= 8 and not KnownDevice`,
	`Type == "login.succeeded" and Addresses >= 12 and not KnownAddress`,
	`Type == "login.succeeded" and Method == "sso" and not KnownDevice and AgeDays < 1`,
	`Type == "login.succeeded" and Logins24h >= 300`,
	`Type == "login.succeeded" and Hour < 5 and not KnownDevice and Distance > 100`,
	`Type == "login.succeeded" and Country in ["KP", "IR", "SY"]`,
	`Type == "login.succeeded" and Resets >= 1 and not KnownDevice`,
	`Type == "session.seen" and not KnownDevice and not KnownAddress and Distance > 2000`,
	`Type == "session.seen" and Speed > 2000 and Distance > 2000`,
	`Type == "account.payee.added" and not KnownDevice`,
	`Type == "account.payee.added" and Resets >= 1`,
	`Type == "account.email.changed" and not KnownDevice and not KnownAddress`,
	`Type == "account.phone.changed" and Resets >= 1`,
	`Type == "account.factor.removed" and not KnownDevice`,
	`Type == "account.password.reset" and not KnownAddress`,
	`Type == "transaction.requested" and Direction == "out" and Amount >= 0.95 * Before and not KnownPayee`,
	`Type == "transaction.requested" and Direction == "out" and Amount >= 100000 and not KnownPayee`,
	`Type == "transaction.requested" and Direction == "out" and Kind == "withdrawal" and not KnownDevice`,
	`Type == "transaction.requested" and Direction == "out" and Payments1h >= 50 and Channel != "api"`,
	`Type == "transaction.requested" and Direction == "out" and Payments24h >= 500 and Channel != "api"`,
	`Type == "transaction.requested" and Sum24h >= 100000000`,
	`Type == "transaction.requested" and Amount >= 0.5 * Sum24h and Amount >= 500000`,
	`Type == "transaction.requested" and Kind == "transfer" and PayeeKind == "person" and Amount >= 300000`,
	`Type == "transaction.requested" and Kind == "transfer" and not KnownPayee and not KnownDevice`,
	`Type == "transaction.requested" and Channel == "atm" and Distance > 200`,
	`Type == "transaction.requested" and Channel == "card_online" and not KnownAddress and Amount >= 50000`,
	`Type == "transaction.requested" and Currency != "EUR" and Amount >= 200000`,
	`Type == "transaction.requested" and After < 0`,
	`Type == "transaction.requested" and Resets >= 1 and Direction == "out"`,
	`Type == "transaction.requested" and AgeDays < 1 and Amount >= 300000 and Direction == "out"`,
	`Type == "transaction.requested" and Events30d < 3 and Amount >= 400000`,
	`Type == "report.owner_denied"`,
}

func programs() ([]*vm.Program, error) {
	all := make([]*vm.Program, len(sources))
	for i, s := range sources {
		var err error
		if all[i], err = expr.Compile(s, expr.Env(facts{}), expr.AsBool()); err != nil {
			return nil, fmt.Errorf("baseline: rule %d: %w", i, err)
		}
	}
	return all, nil
}
