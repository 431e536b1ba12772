package rules

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Limits of a rule file (reference: security S-21): measured, the YAML parser needs 20 s for 80 kB of "[", 4 s for 240 kB of "&a ", and
// more than a second for as much of ": "; within these limits nothing found so far takes more than a fraction of a second.
const (
	maxFile  = 256 << 10
	maxDepth = 32
	maxLines = 8000
	maxWide  = 4096 // bytes of one line
)

// source is one rule file as it stands on disk, with what places are computed from.
type source struct {
	file string
	text string
	line []int // byte offset of each line's start
}

func newSource(file, text string) *source {
	s := &source{file: file, text: text, line: []int{0}}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' {
			s.line = append(s.line, i+1)
		}
	}
	return s
}

// offset is where line and column (from 1, in characters) begin; places outside the text are moved to its edge.
func (s *source) offset(line, column int) int {
	if line < 1 {
		line = 1
	}
	if line > len(s.line) {
		return len(s.text)
	}
	o := s.line[line-1]
	for ; column > 1 && o < len(s.text) && s.text[o] != '\n'; column-- {
		_, n := utf8.DecodeRuneInString(s.text[o:])
		o += n
	}
	return o
}

// place is the line and column of a byte offset.
func (s *source) place(offset int) (line, column int) {
	offset = min(offset, len(s.text))
	lo, hi := 0, len(s.line)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.line[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + 1, utf8.RuneCountInString(s.text[s.line[lo]:offset]) + 1
}

func (s *source) error(offset int, suggestion, format string, args ...any) *Error {
	line, column := s.place(offset)
	return &Error{File: s.file, Line: line, Column: column, Message: fmt.Sprintf(format, args...), Suggestion: suggestion}
}

// scan refuses, before the YAML parser sees it, what would make that parser slow or deep.
func (s *source) scan() *Error {
	switch {
	case len(s.text) > maxFile:
		return s.error(0, "", "the file is %d KiB long, the limit is %d KiB: split it", len(s.text)>>10, maxFile>>10)
	case !utf8.ValidString(s.text):
		return s.error(0, "", "the file is not UTF-8")
	case len(s.line) > maxLines:
		return s.error(0, "", "the file has more than %d lines: split it", maxLines)
	}
	if i := strings.IndexFunc(s.text, func(r rune) bool { return r == 0xfeff || unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }); i >= 0 {
		return s.error(i, "", "the file holds a control character")
	}
	var indents []int
	for n, start := range s.line {
		end := len(s.text)
		if n+1 < len(s.line) {
			end = s.line[n+1] - 1
		}
		line := s.text[start:end]
		body := strings.TrimLeft(line, " ")
		if len(line) > maxWide {
			return s.error(start, "", "the line is %d bytes long, the limit is %d", len(line), maxWide)
		}
		if body == "" || body[0] == '#' {
			continue
		}
		column := len(line) - len(body)
		for len(indents) > 0 && indents[len(indents)-1] >= column {
			indents = indents[:len(indents)-1]
		}
		indents = append(indents, column)
		depth := len(indents)
		for rest := body; len(rest) > 1 && strings.IndexByte("-?:", rest[0]) >= 0 && rest[1] == ' '; rest = strings.TrimLeft(rest[1:], " ") {
			depth++
		}
		if depth > maxDepth {
			return s.error(start, "", "nested deeper than %d levels", maxDepth)
		}
	}
	return nil
}

// tokens cuts the file into YAML's words, which is quick whatever they are, and refuses brackets nested too deep, anchors, aliases and tags
// before the parser, which is not quick, puts them together.
func (s *source) tokens() (token.Tokens, *Error) {
	all := lexer.Tokenize(s.text)
	depth := 0
	for _, t := range all {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			if depth++; depth > maxDepth {
				return nil, s.error(s.offset(t.Position.Line, t.Position.Column), "", "nested deeper than %d levels", maxDepth)
			}
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.DirectiveType:
			return nil, s.error(s.offset(t.Position.Line, t.Position.Column), "",
				"anchors (&), aliases (*), tags (!), merge keys (<<) and directives (%%) are refused: write the value out")
		}
	}
	return all, nil
}

// align maps every byte of a decoded scalar to its place in the file. start is where the scalar's token begins: a quote, a block header
// or the first letter. Decoding only ever takes away (indentation, folded line ends, quotes, backslashes), so that walking both side by side
// finds each letter again.
func (s *source) align(start int, decoded string) []int {
	at := make([]int, len(decoded)+1)
	raw, o := s.text, start
	quote := byte(0)
	if o < len(raw) {
		switch raw[o] {
		case '|', '>':
			for o < len(raw) && raw[o] != '\n' {
				o++
			}
		case '"', '\'':
			quote = raw[o]
			o++
		}
	}
	for i, r := range decoded {
		width := utf8.RuneLen(r)
		if !unicode.IsSpace(r) {
			o = s.seek(o, r, quote)
		}
		for k := range width {
			at[i+k] = min(o, len(raw))
		}
		if o < len(raw) && (!unicode.IsSpace(r) || raw[o] == ' ' && r == ' ') {
			_, n := utf8.DecodeRuneInString(raw[o:])
			o += n
		}
	}
	at[len(decoded)] = min(o, len(raw))
	return at
}

// seek is where r stands at or after o, over what decoding has taken away.
func (s *source) seek(o int, r rune, quote byte) int {
	for p := o; p < len(s.text); {
		c, n := utf8.DecodeRuneInString(s.text[p:])
		switch {
		case c == r:
			return p
		case unicode.IsSpace(c), c == '\'' && quote == '\'':
		case c == '\\' && quote == '"':
			if p+1 < len(s.text) && strings.IndexByte("xuU", s.text[p+1]) >= 0 {
				return p // the letter as a number: it stands here
			}
		default:
			return o
		}
		p += n
	}
	return o
}
