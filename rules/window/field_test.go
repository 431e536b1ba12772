package window

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// parse4 takes what netip takes as an IPv4 address, and gives the same.
func TestParse4(t *testing.T) {
	check := func(fail func(string, ...any), text string) {
		var got [4]byte
		a, err := netip.ParseAddr(text)
		want := err == nil && a.Is4()
		if is := parse4(got[:], text); is != want || is && a.As4() != got {
			fail("%q: %v %v, want %v %v", text, is, got, want, a)
		}
	}
	for _, text := range []string{"", "1.2.3.4", "0.0.0.0", "255.255.255.255", "256.1.1.1", "01.2.3.4", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ", "::1", "1.2.3.4%a", "00.0.0.0"} {
		check(t.Errorf, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t.Fatalf, rapid.StringMatching(`(0|[0-9]{1,3})(\.(0|[0-9]{1,3})){2,4}[.0-9a%]?`).Draw(t, "text"))
	})
}
