package recovery

import (
	"context"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store"
)

// FlowConfig is what a Flow is made of.
type FlowConfig struct {
	Store store.Engine
	Keys  *auth.Keys
	TOTP  *totp.Factors
	Codes *totp.Codes
	Desk  *auth.Desk
	Now   func() time.Time
	// SendCode mails a code in plain to an address of an account's owner.
	SendCode func(ctx context.Context, account auth.AccountID, address, code string) error
	// Warn is told when an owner ought to know what somebody tries: "code_used" (a code came twice), "budget" (too many wrong codes),
	// "hold" (a wait has begun). It may be nil.
	Warn func(ctx context.Context, account auth.AccountID, what string)
	// Wait is how long Submit and Verify wait for the shard; 3 s when zero.
	Wait time.Duration
}

// Flow walks owners through their recoveries: it gathers the facts, asks Next, and does what Next says.
type Flow struct{ config FlowConfig }

// NewFlow makes a Flow.
func NewFlow(c FlowConfig) *Flow {
	if c.Wait == 0 {
		c.Wait = 3 * time.Second
	}
	return &Flow{c}
}

// now is the clock in the precision of what is stored.
func (f *Flow) now() time.Time { return f.config.Now().UTC().Truncate(time.Millisecond) }
