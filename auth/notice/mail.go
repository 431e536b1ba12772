package notice

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
)

// Send takes a notice to its addresses. It may be repeated after an error: what arrives twice has the same Message-ID.
type Send func(ctx context.Context, n Notice, to []string) error

// TLS is how the connection to the mail server is protected.
type TLS string

const (
	StartTLS TLS = "starttls" // STARTTLS, refused if the server has none; the default
	Implicit TLS = "tls"      // TLS from the first byte, port 465
	NoTLS    TLS = "none"     // loopback only
)

// MailTimeout is how long one conversation with the mail server may take.
const MailTimeout = 30 * time.Second

// MailConfig is what a Mailer is made of.
type MailConfig struct {
	Address        string // host:port
	User, Password string // empty: no authentication
	From           string // address of the sender; its name is the platform's
	Name           string // the platform's name; default "Doorward"
	TLS            TLS
	Roots          *tls.Config // trust for the server's certificate; nil: the system's
	HTML           func(Notice) string
}

// Mailer sends notices by SMTP.
type Mailer struct {
	c       MailConfig
	host    string
	options []gomail.Option
	from    mail.Address
	domain  string
}

// NewMailer checks the settings; it does not connect.
func NewMailer(c MailConfig) (*Mailer, error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, fmt.Errorf("smtp.address: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("smtp.address: port: %w", err)
	}
	if c.Name == "" {
		c.Name = "Doorward"
	}
	from, err := bareAddress(c.From)
	if err != nil || !plainLine(c.Name) {
		return nil, fmt.Errorf("smtp.from %q or the platform's name can't stand in a mail", c.From)
	}
	if c.HTML == nil {
		return nil, errors.New("a mailer needs the HTML form of notices")
	}
	options := []gomail.Option{gomail.WithPort(int(number)), gomail.WithTimeout(MailTimeout), gomail.WithoutNoop()}
	switch c.TLS {
	case StartTLS, "":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case Implicit:
		options = append(options, gomail.WithSSL())
	case NoTLS:
		if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.IsLoopback()) {
			return nil, fmt.Errorf("smtp.address %s: mail without TLS is for loopback only", c.Address)
		}
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		return nil, fmt.Errorf("smtp.tls %q: starttls, tls or none", c.TLS)
	}
	if c.Roots != nil {
		options = append(options, gomail.WithTLSConfig(c.Roots))
	}
	if c.User != "" {
		auth := gomail.SMTPAuthAutoDiscover
		if c.TLS == NoTLS {
			auth = gomail.SMTPAuthPlainNoEnc
		}
		options = append(options, gomail.WithSMTPAuth(auth), gomail.WithUsername(c.User), gomail.WithPassword(c.Password))
	}
	if _, err := gomail.NewClient(host, options...); err != nil {
		return nil, fmt.Errorf("smtp settings: %w", err)
	}
	_, domain, _ := strings.Cut(from, "@")
	return &Mailer{c: c, host: host, options: options, from: mail.Address{Name: c.Name, Address: from}, domain: domain}, nil
}

// Send mails n to each address by itself, so that nobody learns the others. All messages are made before the first is sent: an address that
// can't be used is in the error, and the rest go out.
func (m *Mailer) Send(ctx context.Context, n Notice, to []string) error {
	var bad []error
	var messages []*gomail.Msg
	for _, address := range to {
		msg, err := m.message(n, address)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		messages = append(messages, msg)
	}
	answered, forGood := true, true
	if len(messages) > 0 {
		if err := m.deliver(ctx, messages); err != nil {
			bad = append(bad, fmt.Errorf("mail notice %s: %w", n.ID, err))
			answered, forGood = refused(messages)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &undelivered{errors.Join(bad...), forGood, answered}
}

// deliver has one conversation with the server. The library leaves the connection open when the server does not greet as it should (no
// STARTTLS, wrong password), so the connection is ours and closed here whatever happens.
func (m *Mailer) deliver(ctx context.Context, messages []*gomail.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, MailTimeout)
	defer cancel()
	options := m.options
	if m.c.TLS != Implicit {
		var opened []net.Conn
		defer func() {
			for _, c := range opened {
				_ = c.Close() // closed already when all went well
			}
		}()
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				opened = append(opened, c)
			}
			return c, err
		}
		options = append(slices.Clone(options), gomail.WithDialContextFunc(dial))
	}
	client, err := gomail.NewClient(m.host, options...)
	if err != nil {
		return fmt.Errorf("smtp settings: %w", err)
	}
	return client.DialAndSendWithContext(ctx, messages...)
}

func (m *Mailer) message(n Notice, to string) (*gomail.Msg, error) {
	to, err := bareAddress(to)
	if err != nil {
		return nil, fmt.Errorf("mail notice %s: %w", n.ID, err)
	}
	if !plainLine(n.Subject) {
		return nil, fmt.Errorf("mail notice %s: the subject is not one line of text", n.ID)
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP))
	msg.FromMailAddress(&m.from)
	msg.ToMailAddress(&mail.Address{Address: to})
	msg.Subject(n.Subject)
	msg.SetDateWithValue(n.At)
	sum := sha256.Sum256([]byte(n.ID))
	msg.SetMessageIDWithValue(hex.EncodeToString(sum[:16]) + "@" + m.domain)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("Content-Language", n.Language)
	msg.SetBodyString(gomail.TypeTextPlain, n.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.c.HTML(n))
	return msg, nil
}

// bareAddress takes an address as it stands in a profile: local@domain and nothing else, no name, no list, no line break (S-37).
func bareAddress(s string) (string, error) {
	if len(s) > 254 || !plainLine(s) || strings.ContainsAny(s, " ,;<>\"()\\") {
		return "", errors.New("not a bare mail address")
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s {
		return "", errors.New("not a bare mail address")
	}
	return s, nil
}

// plainLine reports whether s can stand in a header: text without control and format characters.
func plainLine(s string) bool {
	if !utf8.ValidString(s) || strings.TrimSpace(s) == "" {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) })
}
