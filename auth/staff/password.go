package staff

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Lengths of a password in characters after NFKC. NIST SP 800-63B-4, 3.1.1.2: at least 15 where it could be the only factor; at least 64
// must be allowed. The upper bound keeps one request's work small.
const (
	MinPassword = 15
	MaxPassword = 256
)

// Why a password is refused.
var (
	ErrShort     = errors.New("the password has fewer than 15 characters")
	ErrLong      = errors.New("the password has more than 256 characters")
	ErrGuessable = errors.New("the password is one of those that are tried first")
)

// cost is argon2id's: 46 MiB, one pass, one lane (OWASP password storage sheet, first choice), some 50 ms of one core.
type cost struct {
	memory uint32 // KiB
	passes uint32
}

var usualCost = cost{memory: 46 << 10, passes: 1}

const (
	saltSize = 16
	hashSize = 32
)

// CheckPassword says whether a person of this name may choose a password: ErrShort, ErrLong, ErrGuessable.
func CheckPassword(name, password string) error {
	p := norm.NFKC.String(password)
	switch n := utf8.RuneCountInString(p); {
	case n < MinPassword || !utf8.ValidString(password):
		return ErrShort
	case n > MaxPassword:
		return ErrLong
	}
	low := strings.ToLower(p)
	b := bare(low)
	if firstTried[b] || repeats(b) || climbs(b) || onlyNames(b, bare(name)) {
		return ErrGuessable
	}
	return nil
}

// bare is a text without the spaces and punctuation that people put between words.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -_.,!?", r) {
			return -1
		}
		return r
	}, s)
}

// firstTried are passwords of 15 characters and more from the top of published lists, without their spaces and punctuation.
var firstTried = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`
		passwordpassword password1234567 password12345678 passw0rdpassw0rd mypasswordispassword thisismypassword
		qwertyuiop12345 qwertyuiopasdfg qwertyuiopasdfghjkl qwertyuiopasdfghjklzxcvbnm qazwsxedcrfvtgb 1qaz2wsx3edc4rfv 1q2w3e4r5t6y7u8i
		1q2w3e4r5t6y7u8i9o0p zaq12wsxcde34rfv asdfghjkl123456 zxcvbnm123456789 abcdefghijklmno abcdefghijklmnop abcdefghijklmnopqrstuvwxyz
		administrator123 administrator1234 adminadminadmin rootrootrootroot letmeinletmein1 letmeinletmeinletmein welcomewelcome1
		iloveyouiloveyou iloveyouforever1 correcthorsebatterystaple changemechangeme changemeplease1 defaultpassword supersecretpassword
		trustno1trustno1 sunshinesunshine princessprincess footballfootball baseballbaseball superman12345678 abc123abc123abc
		111111111111111 000000000000000 123123123123123 123456789012345 1234567890123456 12345678901234567890 987654321987654
		doorwarddoorward doorwardpassword doorward1234567 companypassword securitypassword`) {
		m[w] = true
	}
	return m
}()

// repeats: a piece of at most a third of the whole, said again and again.
func repeats(p string) bool {
	for n := 1; n <= len(p)/2; n++ {
		if n <= 8 && strings.HasPrefix(strings.Repeat(p[:n], len(p)/n+1), p) {
			return true
		}
	}
	return false
}

// climbs: every character is the next or the one before of the character it follows, but for at most two places.
func climbs(p string) bool {
	breaks, before := 0, rune(-1)
	for i, r := range p {
		if i > 0 && r != before+1 && r != before-1 {
			breaks++
		}
		before = r
	}
	return breaks <= 2
}

// onlyNames: what is left without the person's name and ours is too little.
func onlyNames(p, name string) bool {
	rest := strings.ReplaceAll(p, "doorward", "")
	if len(name) >= 3 {
		rest = strings.ReplaceAll(rest, name, "")
	}
	return utf8.RuneCountInString(rest) < 8
}

// hashPassword makes the stored form: the PHC string of argon2id.
func hashPassword(password string, c cost) string {
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		panic("staff: crypto/rand never fails since Go 1.24: " + err.Error())
	}
	return phc(argon(password, salt, c), salt, c)
}

func argon(password string, salt []byte, c cost) []byte {
	return argon2.IDKey([]byte(norm.NFKC.String(password)), salt, c.passes, c.memory, 1, hashSize)
}

func phc(hash, salt []byte, c cost) string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, c.memory, c.passes, b.EncodeToString(salt), b.EncodeToString(hash))
}

// rightPassword does the same work whatever stored is; an empty one (a name that does not exist, a member who has no password) is never right.
func rightPassword(stored, password string, usual cost) bool {
	c, salt, want, ok := readPHC(stored)
	if !ok {
		c, salt, want = usual, make([]byte, saltSize), make([]byte, hashSize)
	}
	if len(password) > 4*MaxPassword {
		password, ok = "", false
	}
	return subtle.ConstantTimeCompare(argon(password, salt, c), want) == 1 && ok
}

func readPHC(s string) (c cost, salt, hash []byte, ok bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return c, nil, nil, false
	}
	var version, lanes int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return c, nil, nil, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.passes, &lanes); err != nil || lanes != 1 || c.passes == 0 {
		return c, nil, nil, false
	}
	var err error
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return c, nil, nil, false
	}
	if hash, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(hash) != hashSize {
		return c, nil, nil, false
	}
	return c, salt, hash, true
}
