package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"doorward/auth"
	"doorward/auth/recovery"
)

// maxCode is the longest text that may be a code, in bytes; totp judges what is in it.
const maxCode = 64

// verify takes the second factor of a challenge. Of an account that Doorward does not know it says what it says of one without a factor.
func (a *api) verify(w http.ResponseWriter, r *http.Request, id auth.AccountID) error {
	if err := noQuery(r); err != nil {
		return err
	}
	body, err := readBody(w, r, "application/json")
	if err != nil {
		return err
	}
	var code string
	if err := readObject(body, map[string]any{"code": &code}); err != nil {
		return err
	}
	if code == "" || len(code) > maxCode {
		return badValue.because("code: the digits that the owner typed.")
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	v, err := a.Verify(ctx, id, code)
	if err != nil {
		return fmt.Errorf("verify a second factor: %w", err)
	}
	state := struct {
		State auth.State `json:"state"`
	}{v.Record.State}
	if state.State == "" {
		state.State = auth.Open
	}
	switch v.Status {
	case recovery.VerifyOK:
		return reply(w, http.StatusOK, state)
	case recovery.VerifyPending:
		return reply(w, http.StatusAccepted, state)
	case recovery.VerifyWait:
		seconds := max(int(math.Ceil(v.RetryAfter.Seconds())), 1)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return refusedCode.with("error", v.Status).with("retry_after", seconds)
	case recovery.VerifyWrong, recovery.VerifyUsed, recovery.VerifyNotEnrolled:
		return refusedCode.with("error", v.Status)
	}
	return fmt.Errorf("verify a second factor: status %q is not known", v.Status)
}
