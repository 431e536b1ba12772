package notice

import (
	"bufio"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"doorward/auth"
)

// server is a mail server that keeps what it is given.
type server struct {
	address string
	mu      sync.Mutex
	got     []envelope
	refuse  string // an address that gets 550
	busy    string // an address that gets 450
}

type envelope struct {
	from, to string
	body     string
}

func startServer(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: l.Addr().String()}
	var open sync.WaitGroup
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		open.Wait()
	})
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed: the test is over
			}
			open.Go(func() { s.talk(c) })
		}
	})
	return s
}

func (s *server) talk(c net.Conn) {
	defer c.Close()
	r, say := bufio.NewReader(c), func(line string) bool { _, err := io.WriteString(c, line+"\r\n"); return err == nil }
	say("220 test ESMTP")
	var e envelope
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line[:4]); verb {
		case "EHLO", "HELO":
			say("250-test\r\n250 8BITMIME")
		case "MAIL":
			e = envelope{from: strings.TrimSpace(line)}
			say("250 ok")
		case "RCPT":
			if s.refuse != "" && strings.Contains(line, s.refuse) {
				say("550 no such box")
				continue
			}
			if s.busy != "" && strings.Contains(line, s.busy) {
				say("450 come back later")
				continue
			}
			e.to += strings.TrimSpace(line)
			say("250 ok")
		case "DATA":
			say("354 go")
			for {
				l, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				e.body += strings.TrimPrefix(l, ".")
			}
			s.mu.Lock()
			s.got = append(s.got, e)
			s.mu.Unlock()
			say("250 kept")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *server) mails() []envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]envelope(nil), s.got...)
}

func mailer(t *testing.T, s *server, w *Writer) *Mailer {
	t.Helper()
	m, err := NewMailer(MailConfig{Address: s.address, From: "security@harbour.example", Name: "Harbour 安全", TLS: NoTLS, HTML: w.HTML})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMailArrives(t *testing.T) {
	s := startServer(t)
	w := writer(t, &auth.Profile{Language: "zh-Hans", Emails: []auth.Contact{{Address: "old@a.example"}, {Address: "new@b.example"}}})
	m := mailer(t, s, w)
	n, to, err := w.Write(context.Background(), due(Locked))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(context.Background(), n, to); err != nil {
		t.Fatal(err)
	}
	if err := m.Send(context.Background(), n, to[:1]); err != nil {
		t.Fatal(err)
	}
	got := s.mails()
	if len(got) != 3 {
		t.Fatalf("%d mails, want 3", len(got))
	}
	ids := map[string]bool{}
	for i, e := range got {
		want := append(to, to[0])[i]
		if !strings.Contains(e.to, "<"+want+">") || strings.Count(e.to, "RCPT") != 1 || !strings.Contains(e.from, "<security@harbour.example>") {
			t.Errorf("mail %d: %s, %s", i, e.from, e.to)
		}
		msg, err := mail.ReadMessage(strings.NewReader(e.body))
		if err != nil {
			t.Fatal(err)
		}
		ids[msg.Header.Get("Message-Id")] = true
		if msg.Header.Get("Message-Id") == "" || !strings.HasSuffix(msg.Header.Get("Message-Id"), "@harbour.example>") {
			t.Errorf("Message-ID %q", msg.Header.Get("Message-Id"))
		}
		checkMail(t, w, n, msg, want)
	}
	if len(ids) != 1 {
		t.Errorf("one notice has the Message-IDs %v", ids)
	}
}

func checkMail(t *testing.T, w *Writer, n Notice, msg *mail.Message, to string) {
	t.Helper()
	dec := new(mime.WordDecoder)
	if subject, err := dec.DecodeHeader(msg.Header.Get("Subject")); err != nil || subject != n.Subject {
		t.Errorf("subject %q, want %q (%v)", subject, n.Subject, err)
	}
	from, err := msg.Header.AddressList("From")
	if err != nil || from[0].Name != "Harbour 安全" {
		t.Errorf("from %v (%v)", from, err)
	}
	if rcpt, err := msg.Header.AddressList("To"); err != nil || len(rcpt) != 1 || rcpt[0].Address != to {
		t.Errorf("to %v (%v)", rcpt, err)
	}
	if date, err := msg.Header.Date(); err != nil || !date.Equal(n.At) {
		t.Errorf("date %v (%v)", date, err)
	}
	if got := msg.Header.Get("Auto-Submitted"); got != "auto-generated" {
		t.Errorf("Auto-Submitted %q", got)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("kind %s (%v)", kind, err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []struct{ kind, body string }{{"text/plain", n.Text}, {"text/html", w.HTML(n)}} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err != nil || kind != want.kind || !strings.EqualFold(params["charset"], "utf-8") {
			t.Errorf("part %s %v (%v)", kind, params, err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil || strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")) != strings.TrimSpace(want.body) {
			t.Errorf("%s part is %q (%v)", want.kind, b, err)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("a third part: %v", err)
	}
}

func TestNothingGetsIntoAHeader(t *testing.T) {
	s := startServer(t)
	w := writer(t, &auth.Profile{})
	m := mailer(t, s, w)
	n, _, err := w.Write(context.Background(), due(Locked))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"a@b.example\r\nBcc: x@y.example", "a@b.example\nRCPT TO:<x@y.example>", "a@b.example, x@y.example", "A <a@b.example>", "a@b.example>",
		"", "a", "@b", "a@", "a@b.example\x00", "a\u202e@b.example", "\"a b\"@c.example", strings.Repeat("a", 250) + "@b.example", "a(b)@c.example"} {
		if err := m.Send(context.Background(), n, []string{to}); err == nil {
			t.Errorf("mail to %q was sent", to)
		}
	}
	bad := n
	bad.Subject = "Hello\r\nBcc: x@y.example"
	if err := m.Send(context.Background(), bad, []string{"a@b.example"}); err == nil {
		t.Error("a subject of two lines was sent")
	}
	if got := s.mails(); len(got) > 0 {
		t.Errorf("the server got %v", got)
	}
	if err := m.Send(context.Background(), n, []string{"bad address", "good@b.example"}); err == nil || len(s.mails()) != 1 {
		t.Errorf("one bad address holds up the good one: %v, %d mails", err, len(s.mails()))
	}
	for _, c := range []MailConfig{
		{Address: s.address, From: "a@b.example", Name: "x\r\nBcc: y", TLS: NoTLS}, {Address: s.address, From: "a@b\r\n.example", TLS: NoTLS},
		{Address: "mail.example:25", From: "a@b.example", TLS: NoTLS}, {Address: "mail.example", From: "a@b.example"},
		{Address: s.address, From: "a@b.example", TLS: "ssl"}, {Address: "mail.example:99999", From: "a@b.example"},
	} {
		c.HTML = w.HTML
		if _, err := NewMailer(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestMailNeverLeavesUnprotectedByAccident(t *testing.T) {
	s := startServer(t) // knows no STARTTLS
	w := writer(t, &auth.Profile{})
	m, err := NewMailer(MailConfig{Address: s.address, From: "a@b.example", HTML: w.HTML})
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := w.Write(context.Background(), due(Locked))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(context.Background(), n, []string{"a@b.example"}); err == nil || len(s.mails()) > 0 {
		t.Errorf("sent in the clear: %v", err)
	}
}

func TestServerRefusesAnAddress(t *testing.T) {
	s := startServer(t)
	s.refuse, s.busy = "gone@b.example", "full@b.example"
	w := writer(t, &auth.Profile{})
	m := mailer(t, s, w)
	n, _, err := w.Write(context.Background(), due(Locked))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, c := range []struct {
		to      []string
		sent    int
		forGood bool
	}{
		{[]string{"gone@b.example", "here@b.example"}, 1, true}, {[]string{"here@b.example", "gone@b.example"}, 1, true},
		{[]string{"no address", "here@b.example"}, 1, true}, {[]string{"no address"}, 0, true}, {[]string{"full@b.example", "here@b.example"}, 1, false},
		{[]string{"gone@b.example", "full@b.example"}, 0, false}, {[]string{"full@b.example", "gone@b.example"}, 0, false},
	} {
		before := len(s.mails())
		err := m.Send(ctx, n, c.to)
		if !OfAddresses(err) {
			t.Errorf("%v: %v is not taken for the addresses' own", c.to, err)
		}
		if err == nil || ForGood(err) != c.forGood || len(s.mails())-before != c.sent {
			t.Errorf("%v: %v, for good %v, %d sent", c.to, err, ForGood(err), len(s.mails())-before)
		}
	}
	gone, err := NewMailer(MailConfig{Address: "127.0.0.1:1", From: "a@b.example", TLS: NoTLS, HTML: w.HTML})
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Send(ctx, n, []string{"here@b.example"}); err == nil || ForGood(err) || OfAddresses(err) {
		t.Errorf("no server: %v, for good %v", err, ForGood(err))
	}
	if ForGood(nil) || ForGood(ctx.Err()) || OfAddresses(nil) {
		t.Error("no error is for good, or an address's")
	}
}
