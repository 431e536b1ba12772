package event

import "slices"

// The types that rules and recovery name in code.
const (
	LoginSucceeded      Type = "login.succeeded"
	LoginFailed         Type = "login.failed"
	MFASucceeded        Type = "login.mfa.succeeded"
	ReportOwnerDenied   Type = "report.owner_denied"
	ReportOwnerApproved Type = "report.owner_approved"
)

// group is a row of the table of types in EVENTS.md: types that share their own data fields.
type group struct {
	schema string // the file under schema/ that describes its data
	types  []Type
	own    []string
}

var groups = []group{
	{"login.json", []Type{LoginSucceeded, LoginFailed, "login.challenged"}, []string{"method", "reason"}},
	{"mfa.json", []Type{MFASucceeded, "login.mfa.failed", "login.mfa.denied"}, []string{"factor"}},
	{"session.json", []Type{"session.started", "session.seen", "session.ended"}, nil},
	{"account.json", []Type{"account.opened", "account.closed"}, []string{"email_domain", "phone_country", "referrer"}},
	{"password.json", []Type{"account.password.changed", "account.password.reset_requested", "account.password.reset"}, []string{"via"}},
	{"change.json", []Type{"account.email.changed", "account.phone.changed", "account.profile.changed", "account.sim.swapped"},
		[]string{"previous", "field"}},
	{"factor.json", []Type{"account.factor.added", "account.factor.removed"}, []string{"factor"}},
	{"device.json", []Type{"account.device.added", "account.device.removed"}, []string{"device"}},
	{"payee.json", []Type{"account.payee.added", "account.payee.removed", "account.payout.added"},
		[]string{"counterparty", "counterparty_kind"}},
	{"apikey.json", []Type{"account.apikey.created"}, nil},
	{"transaction.json", []Type{"transaction.requested", "transaction.completed", "transaction.failed", "transaction.reversed"},
		[]string{"transaction", "kind", "direction", "amount", "currency", "counterparty", "counterparty_kind", "instrument", "channel",
			"category", "country", "balance_before", "balance_after", "reason"}},
	{"report.json", []Type{ReportOwnerDenied, ReportOwnerApproved, "report.chargeback", "report.confirmed_fraud", "report.confirmed_genuine"},
		[]string{"refers_to", "note"}},
}

// values are the enumerations of EVENTS.md. They bind where the field belongs to the event's type; elsewhere, and on types the contract
// does not know, the same name may mean something else and any string is kept.
var values = map[string][]string{
	"method":            {"password", "otp", "passkey", "magic_link", "sso", "token", "public_key"},
	"reason":            {"bad_password", "unknown_account", "mfa_failed", "locked", "other"},
	"factor":            {"totp", "sms", "push", "passkey", "recovery_code"},
	"via":               {"self", "recovery", "staff"},
	"kind":              {"payment", "transfer", "withdrawal", "deposit", "refund"},
	"direction":         {"in", "out"},
	"counterparty_kind": {"person", "merchant", "agent", "own"},
	"channel":           {"app", "web", "card_present", "card_online", "atm", "api"},
}

// typeNames are the types of the contract.
var typeNames = func() *lexicon {
	var all []string
	for _, t := range Types() {
		all = append(all, string(t))
	}
	return newLexicon(all...)
}()

// typeGroups are the rows of typeNames.
var typeGroups = func() (all []*group) {
	for i := range groups {
		for range groups[i].types {
			all = append(all, &groups[i])
		}
	}
	return all
}()

// groupOf finds the row of a known type; nil: an unknown one.
func groupOf(t Type) *group {
	if i := typeNames.find(string(t)); i >= 0 {
		return typeGroups[i]
	}
	return nil
}

// Known reports whether the contract has the type.
func Known(t Type) bool { return groupOf(t) != nil }

// Types lists every type of the contract, in its order.
func Types() []Type {
	var all []Type
	for _, g := range groups {
		all = append(all, g.types...)
	}
	return all
}

// IsReport reports whether the type tells what became of an earlier event: such an event is evaluated however late it is.
func IsReport(t Type) bool {
	g := groupOf(t)
	return g != nil && g.schema == "report.json"
}

// allowed returns the values that a field of a type may have; nil: any. The list of `reason` is that of failed logins: a failed
// transaction's reason is the platform's own word.
func allowed(t Type, name string) []string {
	g := groupOf(t)
	if g == nil || !slices.Contains(g.own, name) || (name == "reason" && t != LoginFailed) {
		return nil
	}
	return values[name]
}

// choice is an enumeration of a type.
type choice struct {
	name string
	at   uintptr // of the field, in Data
	list []string
}

// choices are the enumerations of each of typeNames.
var choices = func() (all [][]choice) {
	for _, t := range Types() {
		var own []choice
		for _, name := range groupOf(t).own {
			if list := allowed(t, name); list != nil {
				own = append(own, choice{name, places[fieldAt[name]].value, list})
			}
		}
		all = append(all, own)
	}
	return all
}()
