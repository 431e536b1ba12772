package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"doorward/auth"
	"doorward/store"
)

// patience is how long a page waits for a shard to apply an act; they commit every few milliseconds.
const patience = 4 * time.Second

// errLate says that an act is in the inbox but was not applied while the page waited; it will be.
var errLate = errors.New("console: the shard has not applied the act yet")

// stale is the error of an act that its shard refused: the state had moved on since the page was made, or does not allow it.
type stale struct{ outcome auth.Outcome }

func (s *stale) Error() string { return "console: act refused: " + s.outcome.Refused }

// act does one act of a member of staff and waits until it is applied. nonce tells two intended acts apart from one that was sent twice.
// *stale, errLate, *auth.Forbidden.
func (c *Console) act(ctx context.Context, a auth.Act, nonce ...string) error {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{string(a.Kind), string(a.Account), a.By, a.Case, a.Reason, a.Outcome,
		fmt.Sprint(a.Saw)}, nonce...), "\x00")))
	a.ID = "staff-" + hex.EncodeToString(sum[:12])
	var with *store.Batch
	if a.Kind == auth.ActUnlock && c.Unpause != nil {
		var err error
		if with, err = c.Unpause(ctx, a.Account); err != nil {
			return err
		}
	}
	if err := c.Desk.Submit(ctx, a, with); err != nil {
		return err
	}
	ctx, done := context.WithTimeout(ctx, patience)
	defer done()
	o, err := c.Desk.Await(ctx, a.ID)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errLate
	case err != nil:
		return err
	case !o.Applied:
		return &stale{o}
	}
	return nil
}
