package totp

import (
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

const (
	period     = 30 * time.Second // the only one that Google Authenticator knows (architecture.md 4.3)
	codeDigits = 6
	skew       = 1  // steps either way; a code so lives 90 s, once (security.md, finding 7)
	seedSize   = 20 // bytes from crypto/rand: 160 bits, RFC 4226 section 4
)

var b32 = base32.StdEncoding.WithPadding(base32.NoPadding)

// seed is what a code is computed from. Its JSON is sealed; names are added, never changed.
type seed struct {
	Secret    []byte `json:"secret"`
	Algorithm string `json:"algorithm"` // SHA1, SHA256, SHA512
}

var algorithms = map[string]otp.Algorithm{"SHA1": otp.AlgorithmSHA1, "SHA256": otp.AlgorithmSHA256, "SHA512": otp.AlgorithmSHA512}

func (s *seed) equal(t *seed) bool {
	return s.Algorithm == t.Algorithm && subtle.ConstantTimeCompare(s.Secret, t.Secret) == 1
}

func stepOf(t time.Time) uint64 { return uint64(t.Unix()) / uint64(period/time.Second) }

// at is the code of a step. An empty secret has none: the library would compute one that anybody can.
func (s *seed) at(step uint64) (string, error) {
	a, ok := algorithms[s.Algorithm]
	if !ok || len(s.Secret) == 0 {
		return "", fmt.Errorf("totp: a seed of %d bytes for %q", len(s.Secret), s.Algorithm)
	}
	code, err := hotp.GenerateCodeCustom(b32.EncodeToString(s.Secret), step, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: a})
	if err != nil {
		return "", fmt.Errorf("totp: compute a code: %w", err)
	}
	return code, nil
}

// match is the newest step around now whose code is code, always comparing all of them in full.
func (s *seed) match(code string, now time.Time) (step uint64, ok bool, err error) {
	for cur, i := stepOf(now), -skew; i <= skew; i++ {
		n := cur + uint64(i)
		want, err := s.at(n)
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = n, true
		}
	}
	return step, ok, nil
}

// CodeAt is the code that an authenticator app with the otpauth link uri shows at t: for the demo's page and for tests.
func CodeAt(uri string, t time.Time) (string, error) {
	s, _, err := parse(uri)
	if err != nil {
		return "", err
	}
	return s.at(stepOf(t))
}
