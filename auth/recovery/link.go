package recovery

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"doorward/store"
	"doorward/store/journal"
)

// ErrLink is the one error for a link that is wrong in any way: cut, changed, made for something else, of nobody. Its text says no more.
var ErrLink = errors.New("recovery: no such link")

// ErrLinkExpired is the error of a link that was good: it is older than LinkLife, or a newer one was issued.
var ErrLinkExpired = errors.New("recovery: the link has expired")

// ErrOften says that three links were made within the hour. Owners are not told: it looks as if one had been sent.
var ErrOften = errors.New("recovery: three links within the hour")

const linkPurpose = "recovery link"

// macSize and numberSize are the lengths of a token's first two parts; the id is the rest.
const (
	macSize    = sha256.Size
	numberSize = 4
	maxToken   = 1024
)

// Token is what stands in a link: base64url of the number of issue, its MAC and the recovery's id. The same issue always has the same token,
// so that a notice sent twice carries the same link.
func (f *Flow) Token(id string, issue int) string {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, numberSize+macSize+len(id)), uint32(issue))
	mac := f.config.Keys.MAC(linkPurpose, []byte(id), b[:numberSize])
	return base64.RawURLEncoding.EncodeToString(append(append(b, mac[:]...), id...))
}

// Open is the recovery that a link leads to; it changes nothing. With ErrLinkExpired the id is given all the same, so that a new link can be
// asked for: it is mailed to the owner, never shown to whoever asks.
func (f *Flow) Open(ctx context.Context, token string) (id string, err error) {
	if len(token) > maxToken {
		return "", ErrLink
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= numberSize+macSize || base64.RawURLEncoding.EncodeToString(b) != token {
		return "", ErrLink // the decoder reads over line ends, even a strict one: one link has one spelling
	}
	number, mac, name := b[:numberSize], b[numberSize:numberSize+macSize], b[numberSize+macSize:]
	if want := f.config.Keys.MAC(linkPurpose, name, number); !hmac.Equal(mac, want[:]) {
		return "", ErrLink
	}
	r, stored, err := Load(ctx, f.config.Store, string(name))
	issue := int(binary.BigEndian.Uint32(number))
	switch {
	case err != nil:
		return "", err
	case stored == nil || issue > r.Issue || len(r.Issued) == 0:
		return "", ErrLink
	case issue < r.Issue || !f.config.Now().Before(r.Issued[len(r.Issued)-1].Add(LinkLife)):
		return r.ID, ErrLinkExpired
	}
	return r.ID, nil
}

// Current is the token of the newest link of a recovery: for a notice about it.
func (f *Flow) Current(ctx context.Context, id string) (token string, err error) {
	r, stored, err := Load(ctx, f.config.Store, id)
	switch {
	case err != nil:
		return "", err
	case stored == nil:
		return "", ErrLink
	}
	return f.Token(id, r.Issue), nil
}

// Reissue makes a new link, good for LinkLife; those before it work no more. The caller mails it. ErrOften: three were made within the hour.
func (f *Flow) Reissue(ctx context.Context, id string) (token string, err error) {
	for {
		r, stored, err := Load(ctx, f.config.Store, id)
		switch {
		case err != nil:
			return "", err
		case stored == nil:
			return "", ErrLink
		}
		now := f.now()
		if !r.reissue(now) {
			return "", ErrOften
		}
		b, err := f.batch(r, stored, now, "link")
		if err != nil {
			return "", err
		}
		switch _, err = f.config.Store.Commit(ctx, b); {
		case err == nil:
			return f.Token(id, r.Issue), nil
		case !conflict(err):
			return "", fmt.Errorf("issue a link: %w", err)
		}
	}
}

// reissue counts a new link, if there may be one.
func (r *Recovery) reissue(now time.Time) bool {
	within := 0
	for _, t := range r.Issued {
		if now.Sub(t) < time.Hour {
			within++
		}
	}
	if within >= IssuesAnHour {
		return false
	}
	r.Issue++
	r.Issued = append(r.Issued, now)
	if over := len(r.Issued) - IssuesAnHour; over > 0 {
		r.Issued = r.Issued[over:]
	}
	return true
}

// batch is the transaction that puts r where stored is now, with an entry in the journal that says which step it is.
func (f *Flow) batch(r Recovery, stored []byte, now time.Time, step string) (*store.Batch, error) {
	put, err := r.pair()
	if err != nil {
		return nil, err
	}
	b := &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: put.Key, Value: stored}}, Put: []store.Pair{put}}
	e := journal.Entry{At: now, Kind: journal.RecoveryStep, Account: string(r.Account), By: "owner", Cause: r.ID, Shard: -1, Reason: step,
		To: string(r.Status)}
	return b, addEntry(b, e)
}

func addEntry(b *store.Batch, e journal.Entry) error {
	line, err := journal.Append(e)
	if err != nil {
		return fmt.Errorf("journal a recovery: %w", err)
	}
	b.Append = append(b.Append, line)
	return nil
}

func conflict(err error) bool {
	var c *store.Conflict
	return errors.As(err, &c)
}
