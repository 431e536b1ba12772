package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Recipient is whom a backup is sealed for, Identity who opens it.
type (
	Recipient = age.Recipient
	Identity  = age.Identity
)

// minPassphrase is the fewest characters of a passphrase. A backup leaves the house: who steals it guesses at leisure, one second a guess
// and core (age's scrypt), so a passphrase should be made by a machine; this only refuses what is none.
const minPassphrase = 12

// ParseRecipient reads an age public key: age1...
func ParseRecipient(s string) (Recipient, error) {
	all, err := age.ParseRecipients(strings.NewReader(s))
	if err != nil || len(all) != 1 {
		return nil, errors.New("that is not one age public key (age1..., made by `age-keygen`)") // not quoted: it may be the private one
	}
	return all[0], nil
}

// ParseIdentities reads the content of an age key file: lines of AGE-SECRET-KEY-1..., and comments.
func ParseIdentities(b []byte) ([]Identity, error) {
	all, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		return nil, errors.New("it holds no age key (AGE-SECRET-KEY-1..., made by `age-keygen`)") // age's own error may quote the line
	}
	return all, nil
}

// Passphrase gives what seals and what opens for a passphrase: the first line of b.
func Passphrase(b []byte) (Recipient, Identity, error) { return passphrase(b, workFactor) }

// workFactor is scrypt's, as a power of two: age's own, about a second.
const workFactor = 18

func passphrase(b []byte, work int) (Recipient, Identity, error) {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	p := strings.TrimSuffix(string(line), "\r")
	if len(p) < minPassphrase {
		return nil, nil, fmt.Errorf("a passphrase has at least %d characters", minPassphrase)
	}
	r, err := age.NewScryptRecipient(p)
	if err != nil {
		return nil, nil, fmt.Errorf("use a passphrase: %w", err)
	}
	r.SetWorkFactor(work)
	i, err := age.NewScryptIdentity(p)
	if err != nil {
		return nil, nil, fmt.Errorf("use a passphrase: %w", err)
	}
	return r, i, nil
}

// Seal seals what is written to it; Close ends it, and leaves w open.
func Seal(w io.Writer, to ...Recipient) (io.WriteCloser, error) {
	s, err := age.Encrypt(w, to...)
	if err != nil {
		return nil, fmt.Errorf("seal a backup: %w", err)
	}
	return s, nil
}

// ErrNotOurs says that a backup was sealed for somebody else, or that the passphrase is wrong.
var ErrNotOurs = errors.New("backup: sealed for another key or passphrase")

// Open opens a sealed backup.
func Open(r io.Reader, with ...Identity) (io.Reader, error) {
	plain, err := age.Decrypt(r, with...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none), errors.Is(err, age.ErrIncorrectIdentity):
		return nil, ErrNotOurs
	case err != nil:
		return nil, fmt.Errorf("%w: it is no backup, or its beginning is damaged: %w", ErrDamaged, err)
	}
	return plain, nil
}
