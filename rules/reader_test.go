package rules

import (
	"fmt"
	"strings"
	"testing"

	"doorward/rules/event"
	"doorward/rules/geo"
)

// Texts that rules name most are read without a search: what is read is what the event says.
func TestWordsAreTheEventsFields(t *testing.T) {
	w := newWorld(t, rule("login.failed", "true"))
	data := `{"geo":{"city":"Lyon","country":"FR"}`
	for _, f := range event.Fields() {
		if f.Kind == event.String || f.Kind == event.ID {
			data += fmt.Sprintf(`,%q:%q`, f.Name, "the "+f.Name)
		}
	}
	f := w.facts(0, "login.failed", strings.NewReplacer(`,"geo.city":"the geo.city"`, "", `"the method"`, `"otp"`, `"the reason"`, `"locked"`).Replace(data)+
		`,"ip":"192.0.2.1","currency":"EUR","country":"DE"}`)
	for name := range words {
		field := strings.TrimPrefix(name, "data.")
		want, _ := f.Event.Field(field)
		switch name {
		case "country":
			want = "FR"
		case "city":
			want = "Lyon"
		case "account.state":
			want = "open"
		}
		if got := wordOf(name)(f); got != want || got == "" {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	f.Place = geo.Place{}
	if got := wordOf("country")(f); got != "DE" {
		t.Errorf("country of no place is %q, want the transaction's", got)
	}
}
