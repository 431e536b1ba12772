package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal is where a command reads and writes: results to out, talk to talk.
type terminal struct {
	in     io.Reader
	out    io.Writer
	talk   io.Writer
	format string // "human" or "json"
}

func (t *terminal) json() bool { return t.format == "json" }

// print writes a result: v as a line of JSON, or what human writes.
func (t *terminal) print(v any, human func(w io.Writer)) error {
	if !t.json() {
		human(t.out)
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	_, err = t.out.Write(append(b, '\n'))
	return err
}

// say writes a line of talk.
func (t *terminal) say(format string, args ...any) {
	fmt.Fprintln(t.talk, printable(fmt.Sprintf(format, args...)))
}

// table writes rows in columns.
func table(w io.Writer, rows ...[]string) {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		for i := range r {
			r[i] = printable(r[i])
		}
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	tw.Flush()
}

// printable shows control, format and direction characters, which could drive a terminal or mislead a reader, as \xNN or \uNNNN.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n', r == '\t', unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// progress shows how far long work is: a bar on a terminal, a line every ten seconds elsewhere.
type progress struct {
	bar  *progressbar.ProgressBar
	t    *terminal
	what string
	last time.Time
	done int64
	max  int64
}

// newProgress begins; max < 0: the end is not known. The unit is bytes when bytes is set, else a count.
func (t *terminal) newProgress(what string, max int64, bytes bool) *progress {
	p := &progress{t: t, what: what, max: max, last: time.Now()}
	if f, ok := t.talk.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(max, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(t.talk),
			progressbar.OptionShowBytes(bytes), progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetElapsedTime(false))
	}
	return p
}

// to moves on to n of max.
func (p *progress) to(n int64) {
	p.done = n
	if p.bar != nil {
		p.bar.Set64(n)
		return
	}
	if time.Since(p.last) < 10*time.Second {
		return
	}
	p.last = time.Now()
	if p.max > 0 {
		p.t.say("%s: %d of %d (%d %%)", p.what, n, p.max, 100*n/p.max)
	} else {
		p.t.say("%s: %d", p.what, n)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Finish()
	}
}

// several is a number of things in words: 1 line, 2 lines.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
