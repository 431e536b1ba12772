package totp

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxTyped is the most bytes of a typed code that are looked at.
const maxTyped = 128

// plain is what people mean when they type or paste a code: NFKC, without spaces of any script, hyphens and invisible characters.
// Without this, or with less of it after the used-step check, " 123456" is another code than "123456" (security.md, finding 5).
func plain(s string) string {
	if len(s) > maxTyped {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.In(r, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Cf, unicode.Pd):
			return -1
		}
		return r
	}, norm.NFKC.String(s))
}

// digits is the code in s when it is exactly n ASCII digits after plain.
func digits(s string, n int) (string, bool) {
	s = plain(s)
	if len(s) != n {
		return "", false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return "", false
		}
	}
	return s, true
}

// Digits is the code in what somebody typed, when it is exactly n digits but for spaces and hyphens.
func Digits(typed string, n int) (code string, ok bool) { return digits(typed, n) }
