package event

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner reads one JSON text, front to back, and refuses what RFC 8259 leaves open: a key twice in one object, a lone surrogate, bytes
// after the value, nesting beyond MaxDepth, bytes that are not UTF-8. Strings without escapes share its memory.
type scanner struct {
	text  string
	at    int
	depth int
	high  uint64 // has a top bit in it if a byte beyond ASCII has been passed
	spare []byte // room behind the last string that had an escape: see keep
	chunk int    // bytes of room that were made last
}

// start takes on a text.
func (s *scanner) start(text string) {
	s.text, s.at, s.depth, s.high = text, 0, 0, 0
}

// verdict is what is said of a text that was read up to its end or to err. UTF-8 is looked at last, as most texts are ASCII, which reading
// them shows; and yet first, as nothing that a text holds counts for anything when it is no text.
func (s *scanner) verdict(err *Error) *Error {
	if (err != nil || s.high&tops != 0) && !utf8.ValidString(s.text) {
		return &Error{Code: BadJSON, Problem: "the event is not UTF-8"}
	}
	return err
}

func (s *scanner) bad(format string, args ...any) *Error {
	return &Error{Code: BadJSON, Problem: fmt.Sprintf(format, args...) + " at byte " + strconv.Itoa(s.at)}
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek returns the first byte of the next token, 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		if c := s.text[s.at]; c > ' ' {
			return c
		}
	}
	return s.peekFar()
}

func (s *scanner) peekFar() byte {
	s.space()
	if s.at == len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// object refuses a text that is no object from its first byte on.
func (s *scanner) object() *Error {
	if s.peek() != '{' {
		return &Error{Code: BadJSON, Problem: "the event must be one JSON object, starting with {"}
	}
	return nil
}

func (s *scanner) want(c byte) *Error {
	if s.peek() != c {
		return s.bad("not JSON: %q expected", string(c))
	}
	s.at++
	return nil
}

// end refuses anything but white space after the value.
func (s *scanner) end() *Error {
	s.space()
	if s.at != len(s.text) {
		return s.bad("one JSON object expected, found more behind it")
	}
	return nil
}

// enter counts an object or array that was just opened.
func (s *scanner) enter() *Error {
	s.depth++
	if s.depth > MaxDepth {
		return s.bad("nested deeper than %d levels", MaxDepth)
	}
	return nil
}

// open takes the start of an object; more: it has a member.
func (s *scanner) open() (more bool, err *Error) {
	if err := s.want('{'); err != nil {
		return false, err
	}
	if err := s.enter(); err != nil {
		return false, err
	}
	if s.peek() == '}' {
		s.at++
		s.depth--
		return false, nil
	}
	return true, nil
}

// next takes what stands behind a member: a comma, then there is one more, or the end of the object.
func (s *scanner) next() (more bool, err *Error) {
	switch s.peek() {
	case ',':
		s.at++
		return true, nil
	case '}':
		s.at++
		s.depth--
		return false, nil
	}
	return false, s.want(',')
}

// name takes a member's name and the colon; the member's value is next.
func (s *scanner) name() (string, *Error) {
	name, err := s.str()
	if err != nil {
		return "", err
	}
	return name, s.want(':')
}

// null takes a null if one is next.
func (s *scanner) null() bool { return s.peek() == 'n' && s.word("null") }

func (s *scanner) word(w string) bool {
	if strings.HasPrefix(s.text[s.at:], w) {
		s.at += len(w)
		return true
	}
	return false
}

// cut shortens outside text for a message.
func cut(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}
