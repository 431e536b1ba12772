package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store"
)

// VerifyStatus is the answer to a second factor (POST /v1/accounts/{id}/verify).
type VerifyStatus string

const (
	VerifyOK          VerifyStatus = "ok"      // right, and applied
	VerifyPending     VerifyStatus = "pending" // right and spent; the shard has not applied it yet
	VerifyWrong       VerifyStatus = "wrong"
	VerifyUsed        VerifyStatus = "used"
	VerifyWait        VerifyStatus = "wait" // RetryAfter says how long
	VerifyNotEnrolled VerifyStatus = "not_enrolled"
)

// Verified is what became of a second factor.
type Verified struct {
	Status     VerifyStatus
	RetryAfter time.Duration // wait; a paused factor: a day, and it takes a recovery code or staff
	Record     auth.Record   // the account as it is now
}

// pausedRetry is what a platform is told of a paused factor: by itself it does not come back.
const pausedRetry = 24 * time.Hour

// Verify takes the second factor of a challenge from the platform. A right code ends the challenge; of an account without one it is spent
// all the same and says that its owner is there. It opens no limit and no lock. An app bound after the first bad event counts as none.
func (f *Flow) Verify(ctx context.Context, account auth.AccountID, code string) (Verified, error) {
	a, _, err := auth.LoadAccount(ctx, f.config.Store, account)
	if err != nil {
		return Verified{}, err
	}
	var act auth.Act
	res, err := f.config.TOTP.Redeem(ctx, account, a.Touched.Since, code, func(ctx context.Context, burn *store.Batch) error {
		act, err = f.verified(ctx, account, burn)
		return err
	})
	if err != nil {
		return Verified{}, fmt.Errorf("verify a second factor: %w", err)
	}
	v := Verified{Status: VerifyOK, Record: a.Record()}
	switch res.Reason {
	case totp.Accepted:
		return f.answer(ctx, account, act)
	case totp.Wrong, totp.Malformed:
		v.Status = VerifyWrong
	case totp.Used:
		v.Status = VerifyUsed
	case totp.NotEnrolled:
		v.Status = VerifyNotEnrolled
	case totp.Wait:
		v.Status, v.RetryAfter = VerifyWait, max(time.Second, res.WaitUntil.Sub(f.config.Now()))
	case totp.Paused:
		v.Status, v.RetryAfter = VerifyWait, pausedRetry
	}
	f.warnOf(ctx, account, res)
	return v, nil
}

// verified burns the code, with the act that ends the challenge if there is one. The act's id comes from the burned record, so that the same
// step is the same act.
func (f *Flow) verified(ctx context.Context, account auth.AccountID, burn *store.Batch) (auth.Act, error) {
	a, _, err := auth.LoadAccount(ctx, f.config.Store, account)
	if err != nil {
		return auth.Act{}, err
	}
	if !a.Challenge {
		if _, err := f.config.Store.Commit(ctx, burn); err != nil {
			return auth.Act{}, fmt.Errorf("burn a code: %w", err)
		}
		return auth.Act{}, nil
	}
	h := sha256.New()
	for _, p := range burn.Put {
		h.Write(p.Key)
		h.Write(p.Value)
	}
	act := auth.Act{ID: "verified-" + hex.EncodeToString(h.Sum(nil)[:16]), Kind: auth.ActVerified, Account: account, At: f.now(), By: "owner",
		Saw: a.Version}
	return act, f.config.Desk.Submit(ctx, act, burn)
}

// answer waits for the shard, if there is something to wait for, and says how the account stands.
func (f *Flow) answer(ctx context.Context, account auth.AccountID, act auth.Act) (Verified, error) {
	v := Verified{Status: VerifyOK}
	if act.ID != "" {
		var res Result
		if err := f.await(ctx, act, &res); err != nil {
			return Verified{}, err
		}
		if res.Applying || res.Moved { // moved: what the code answered is not what holds now; the platform asks again
			v.Status = VerifyPending
		}
	}
	a, _, err := auth.LoadAccount(ctx, f.config.Store, account)
	if err != nil {
		return Verified{}, err
	}
	v.Record = a.Record()
	return v, nil
}
