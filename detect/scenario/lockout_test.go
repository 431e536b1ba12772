package scenario

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"doorward/rules/builtin"
)

// Whatever an attacker lets fail, from however many devices and addresses, and however the owner signs in meanwhile from their own address:
// the owner's account is at most asked for a second factor (reference: security S-17).
func TestFailuresNeverLockTheOwnerOut(t *testing.T) {
	set, err := builtin.Load()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		var b strings.Builder
		b.WriteString("-- events --\n+0s login.succeeded account=anna device=phone ip=198.51.100.7 country=SG lat=1.35 lon=103.82\n")
		at := 60
		for range rapid.IntRange(1, 30).Draw(rt, "lines") {
			at += rapid.IntRange(0, 900).Draw(rt, "step")
			if rapid.IntRange(0, 4).Draw(rt, "who") == 0 {
				device := rapid.SampledFrom([]string{"phone", "tablet", "new-phone"}).Draw(rt, "own device")
				fmt.Fprintf(&b, "+%ds login.succeeded account=anna device=%s ip=198.51.100.7 country=SG lat=1.35 lon=103.82 method=password\n", at, device)
				continue
			}
			name := rapid.SampledFrom([]string{"login.failed", "login.failed", "login.challenged", "login.mfa.failed", "login.mfa.denied",
				"account.password.reset_requested", "transaction.failed"}).Draw(rt, "type")
			fmt.Fprintf(&b, "+%ds repeat %d every %ds %s account=anna device=%s ip=203.0.113.{n} country=RU lat=55.75 lon=37.62\n", at,
				rapid.IntRange(1, 40).Draw(rt, "times"), rapid.IntRange(0, 60).Draw(rt, "every"), name,
				rapid.SampledFrom([]string{"phone", "bot", "bot{n}"}).Draw(rt, "device"))
		}
		b.WriteString("-- want --\nnothing\n")
		r, err := Run([]byte(b.String()), set)
		if err != nil {
			rt.Fatalf("%v\n%s", err, b.String())
		}
		for _, line := range r.Got {
			if strings.HasSuffix(line, " limit") || strings.HasSuffix(line, " lock") || strings.HasSuffix(line, " limited") || strings.HasSuffix(line, " locked") {
				rt.Fatalf("%s\n%s", line, b.String())
			}
		}
	})
}
