package event

import (
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// str takes a string.
func (s *scanner) str() (string, *Error) {
	if s.peek() != '"' {
		return "", s.bad("not JSON: a string expected")
	}
	t := s.text
	start := s.at + 1
	i := start
	for ; i+8 <= len(t); i += 8 {
		x := eight(t, i)
		s.high |= x
		if m := notText(x); m != 0 {
			i += bits.TrailingZeros64(m) / 8
			break
		}
	}
	for ; i < len(t); i++ {
		switch c := t[i]; {
		case c == '"':
			s.at = i + 1
			return t[start:i], nil
		case c == '\\':
			return s.escaped(start, i)
		case c < ' ':
			s.at = i
			return "", s.bad("not JSON: a control character in a string must be escaped")
		default:
			s.high |= uint64(c)
		}
	}
	s.at = len(t)
	return "", s.bad("not JSON: a string has no end")
}

// escaped takes the rest of a string that has an escape at i.
func (s *scanner) escaped(start, i int) (string, *Error) {
	b := append(s.room(), s.text[start:i]...)
	for i < len(s.text) {
		c := s.text[i]
		switch {
		case c == '"':
			s.at = i + 1
			return s.keep(b), nil
		case c < ' ':
			s.at = i
			return "", s.bad("not JSON: a control character in a string must be escaped")
		case c != '\\':
			s.high |= uint64(c)
			b = append(b, c)
			i++
		default:
			s.at = i
			r, n, err := s.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	s.at = len(s.text)
	return "", s.bad("not JSON: a string has no end")
}

// escape reads the escape at the position and returns its rune and length.
func (s *scanner) escape() (rune, int, *Error) {
	rest := s.text[s.at:]
	if len(rest) < 2 {
		return 0, 0, s.bad("not JSON: a string has no end")
	}
	if i := strings.IndexByte(`"\/bfnrt`, rest[1]); i >= 0 {
		return rune("\"\\/\b\f\n\r\t"[i]), 2, nil
	}
	if rest[1] != 'u' {
		return 0, 0, s.bad("not JSON: unknown escape")
	}
	r, ok := hex4(rest[2:])
	if !ok {
		return 0, 0, s.bad("not JSON: \\u needs four hex digits")
	}
	if !utf16.IsSurrogate(r) {
		return r, 6, nil
	}
	if len(rest) >= 12 && rest[6] == '\\' && rest[7] == 'u' {
		if low, ok := hex4(rest[8:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12, nil
			}
		}
	}
	return 0, 0, s.bad("half a surrogate pair, which is no character")
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := 0; i < 4; i++ {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
