package notice

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"time"

	"doorward/auth"
)

// LinkLife is how long the link of a "was this you?" notice works, from the time of the event it asks about.
const LinkLife = 7 * 24 * time.Hour

const (
	linkPurpose = "notice link"
	linkVersion = 1
	macSize     = 32 // bytes: the whole HMAC-SHA-256
)

// LinkToken names a finding in a link so that nobody else can make one: version, end (unix seconds), finding, HMAC over all of it. It holds
// no account: links end up in logs.
func LinkToken(k *auth.Keys, finding string, at time.Time) string {
	b := binary.BigEndian.AppendUint64([]byte{linkVersion}, uint64(at.Add(LinkLife).Unix()))
	b = append(b, finding...)
	mac := k.MAC(linkPurpose, b)
	return base64.RawURLEncoding.EncodeToString(append(b, mac[:]...))
}

// OpenLink gives the finding that a token names, "" for one that was not made by LinkToken or has run out: the two look alike.
func OpenLink(k *auth.Keys, token string, now time.Time) string {
	if len(token) > 1024 {
		return ""
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= 1+8+macSize || b[0] != linkVersion || base64.RawURLEncoding.EncodeToString(b) != token {
		return "" // the decoder reads over line ends, even a strict one: one link has one spelling
	}
	b, got := b[:len(b)-macSize], b[len(b)-macSize:]
	want := k.MAC(linkPurpose, b)
	ends := time.Unix(int64(binary.BigEndian.Uint64(b[1:9])), 0)
	if !hmac.Equal(got, want[:]) || !now.Before(ends) {
		return ""
	}
	return string(b[9:])
}
