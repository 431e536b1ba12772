package totp

import (
	"errors"
	"fmt"
	"image/color"
	"net/url"
	"strings"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
)

const (
	minSecret  = 10  // bytes: 80 bits, what Google's own links had for years; less is refused
	goodSecret = 14  // bytes: 112 bits, NIST SP 800-63B-4 section 3.1.4; between the two we take it and say so
	maxSecret  = 128 // bytes: the block of SHA-512, beyond which a longer key is no stronger
)

// link makes the otpauth link of an enrolment. Everything outside A-Z a-z 0-9 . _ - is escaped, because pquerna/otp and several apps let an
// & or = in a name become a parameter (architecture.md 4.2f); the link is read back before anybody sees it.
func link(issuer, account string, s *seed) (string, error) {
	escape := func(v string) string { return strings.ReplaceAll(url.QueryEscape(v), "+", "%20") }
	secret := b32.EncodeToString(s.Secret)
	u := "otpauth://totp/" + escape(issuer) + ":" + escape(account) + "?secret=" + secret + "&issuer=" + escape(issuer) +
		"&algorithm=" + s.Algorithm + "&digits=6&period=30"
	k, err := otp.NewKeyFromURL(u)
	if err != nil {
		return "", fmt.Errorf("totp: read back an otpauth link: %w", err)
	}
	if k.Type() != "totp" || k.Secret() != secret || k.Issuer() != issuer || k.AccountName() != account || k.Digits() != otp.DigitsSix || k.Period() != 30 {
		return "", errors.New("totp: an otpauth link does not read back as it was made")
	}
	return u, nil
}

// checkIssuer refuses names that some app would read as something else.
func checkIssuer(issuer string) error {
	if issuer == "" || len(issuer) > 64 {
		return errors.New("issuer: 1 to 64 characters")
	}
	for _, r := range issuer {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ._-", r) {
			return fmt.Errorf("issuer: %q is not one of A-Z a-z 0-9 space . _ -", r)
		}
	}
	return nil
}

// parse reads a platform's otpauth link. Errors never hold the secret. note says what is weak about a link that is taken all the same.
func parse(raw string) (s *seed, note string, err error) {
	if len(raw) > 2048 {
		return nil, "", &BadURI{"longer than 2048 bytes"}
	}
	u, err := url.Parse(raw)
	if err != nil { // url.Error quotes its input, and with it the secret
		return nil, "", &BadURI{"not a URI"}
	}
	if u.Scheme != "otpauth" || u.Host != "totp" || u.User != nil || u.Fragment != "" {
		return nil, "", &BadURI{"only otpauth://totp/ links are taken"}
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, "", &BadURI{"parameters that do not read"}
	}
	for name, values := range q {
		if len(values) != 1 {
			return nil, "", badURI("%q stands %d times", name, len(values))
		}
	}
	if err := exactly(q, "digits", "6"); err != nil {
		return nil, "", err
	}
	if err := exactly(q, "period", "30"); err != nil {
		return nil, "", err
	}
	s = &seed{Algorithm: "SHA1"}
	if a := q.Get("algorithm"); a != "" {
		s.Algorithm = strings.ToUpper(a)
	}
	if _, ok := algorithms[s.Algorithm]; !ok {
		return nil, "", &BadURI{"algorithm is SHA1, SHA256 or SHA512"}
	}
	secret := strings.ToUpper(strings.TrimRight(q.Get("secret"), "="))
	if s.Secret, err = b32.DecodeString(secret); err != nil || b32.EncodeToString(s.Secret) != secret {
		return nil, "", &BadURI{"secret is not base32"}
	}
	switch n := len(s.Secret); {
	case n < minSecret || n > maxSecret:
		return nil, "", badURI("a secret of %d bytes; %d to %d are taken", n, minSecret, maxSecret)
	case n < goodSecret:
		note = fmt.Sprintf("the secret has %d bits; NIST SP 800-63B-4 asks for 112", 8*n)
	}
	return s, note, nil
}

// exactly demands a parameter to be absent or to have its one possible value.
func exactly(q url.Values, name, value string) error {
	if v, ok := q[name]; ok && v[0] != value {
		return badURI("%s is %s, nothing else is taken", name, value)
	}
	return nil
}

// groups writes a key as people type it: fours with spaces.
func groups(key string) string {
	var b strings.Builder
	for i := 0; i < len(key); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key[i:min(i+4, len(key))])
	}
	return b.String()
}

// quiet is the empty margin of a QR code in modules (ISO/IEC 18004).
const quiet = 4

// Picture draws a link as a QR code for the camera of another device: SVG without style attributes or scripts, black on white in both
// themes, because scanners need it so; one path, a run of black modules at a time. The link's words stand beside it for who can't see it.
func Picture(link string) (string, error) {
	code, err := qr.Encode(link, qr.M, qr.Auto)
	if err != nil {
		return "", fmt.Errorf("totp: draw a QR code: %w", err)
	}
	n := code.Bounds().Dx()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="qr" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" aria-hidden="true" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`,
		n+2*quiet, n+2*quiet, n+2*quiet, n+2*quiet)
	for y := range n {
		for x := 0; x < n; x++ {
			run := 0
			for x+run < n && code.At(x+run, y) == color.Black {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String(), nil
}

// BadURI is the error of an otpauth link that is not taken. Problem says what would be and never holds the secret.
type BadURI struct{ Problem string }

func (e *BadURI) Error() string { return "otpauth: " + e.Problem }

func badURI(format string, args ...any) error { return &BadURI{fmt.Sprintf(format, args...)} }
