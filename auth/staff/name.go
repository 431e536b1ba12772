package staff

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// ErrName says that a name can't be one.
var ErrName = errors.New("a staff name has 1 to 64 letters, digits, dots, hyphens or underscores")

// ParseName is the canonical form of a name: Unicode NFKC, lower case, outer spaces gone. So nobody can join as a second "Ana".
func ParseName(s string) (string, error) {
	if len(s) > 512 || !utf8.ValidString(s) {
		return "", ErrName
	}
	c := strings.ToLower(strings.TrimSpace(norm.NFKC.String(s)))
	if n := utf8.RuneCountInString(c); n == 0 || n > 64 {
		return "", ErrName
	}
	for _, r := range c {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) && !strings.ContainsRune(".-_", r) {
			return "", ErrName
		}
	}
	return c, nil
}
