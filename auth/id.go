package auth

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// AccountID is an account's canonical id: made by ParseAccountID, never by conversion of outside text.
type AccountID string

// MaxID is the longest id of anything that comes from outside, in bytes (EVENTS.md, "Limits").
const MaxID = 256

// ParseAccountID returns the canonical form of an account id: Unicode NFKC, outer spaces gone. Case is kept, as platforms' ids may
// differ by it. Refused: empty, longer than MaxID bytes, invalid UTF-8, control, format (zero width, direction), invisible or private
// characters, white space inside. So two spellings that look alike can't be two counters (reference: security S-5).
func ParseAccountID(s string) (AccountID, error) {
	if len(s) <= MaxID && plainID(s) {
		return AccountID(s), nil
	}
	switch {
	case len(s) > 4*MaxID:
		return "", errors.New("account id is longer than 256 bytes")
	case !utf8.ValidString(s):
		return "", errors.New("account id is not UTF-8")
	}
	c := strings.TrimSpace(norm.NFKC.String(s))
	switch {
	case c == "":
		return "", errors.New("account id is empty")
	case len(c) > MaxID:
		return "", errors.New("account id is longer than 256 bytes")
	}
	for _, r := range c {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zs, unicode.Zl, unicode.Zp,
			unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) { // these two: letters and marks that show nothing
			return "", errors.New("account id holds a space or an invisible character")
		}
	}
	return AccountID(c), nil
}

// plainID reports whether s needs no work: printable ASCII without spaces.
func plainID(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}
