package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/auth/totp"
)

// enrolment is what `totp enroll` prints (COMMANDS.md).
type enrolment struct {
	URI           string   `json:"uri,omitempty"`
	Key           string   `json:"key,omitempty"`
	RecoveryCodes []string `json:"recovery_codes,omitempty"`
	Confirmed     bool     `json:"confirmed,omitempty"`
}

type totpRequest struct {
	ID   string `json:"id"`
	Code string `json:"code,omitempty"`
}

func totpCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{Use: "totp", Short: "Enrol an owner's authenticator app"}
	var code string
	enroll := &cobra.Command{
		Use: "enroll ID", Short: "Make a secret and recovery codes for an account; they count when one code has confirmed it",
		Long: `Makes a secret for an authenticator app, and ten recovery codes, and shows both this once. They count when a code from the app has confirmed
them with --confirm; until then the account keeps the app and the codes that it has. A platform that has the secret already gives it by
PUT /v1/accounts/{id} instead.`,
		Example: "  doorward totp enroll acct-42\n  doorward totp enroll acct-42 --confirm 123456", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			name := "totp.enroll"
			if code != "" {
				name = "totp.confirm"
			}
			var e enrolment
			if err := call(c.Context(), t, cfg, name, totpRequest{args[0], code}, &e); err != nil {
				return err
			}
			return t.print(e, func(w io.Writer) {
				if e.Confirmed {
					fmt.Fprintln(w, "The authenticator app is confirmed; it and its recovery codes count from now on.")
					return
				}
				fmt.Fprintf(w, "%s\nkey  %s\n\nConfirm it with a code from the app: doorward totp enroll %s --confirm CODE\n\nRecovery codes, each works once, shown only now:\n", e.URI, e.Key, printable(args[0]))
				for _, r := range e.RecoveryCodes {
					fmt.Fprintln(w, "  "+r)
				}
			})
		},
	}
	enroll.Flags().StringVar(&code, "confirm", "", "the code that the app shows now")
	storeFlags(enroll)
	c.AddCommand(enroll)
	return c
}

func totpEnroll(ctx context.Context, s *house, in totpRequest) (enrolment, error) {
	id, err := auth.ParseAccountID(in.ID)
	if err != nil {
		return enrolment{}, &exit{exitUsage, err}
	}
	e, err := s.factors.Enrol(ctx, id)
	if err != nil {
		return enrolment{}, err
	}
	codes, err := s.codes.Offer(ctx, id)
	if err != nil {
		return enrolment{}, err
	}
	return enrolment{URI: e.URI, Key: e.Key, RecoveryCodes: codes}, nil
}

func totpConfirm(ctx context.Context, s *house, in totpRequest) (enrolment, error) {
	id, err := auth.ParseAccountID(in.ID)
	if err != nil {
		return enrolment{}, &exit{exitUsage, err}
	}
	r, err := s.factors.Confirm(ctx, id, in.Code)
	if err != nil {
		return enrolment{}, err
	}
	if r.Reason != totp.Accepted {
		return enrolment{}, fmt.Errorf("the code was not accepted (%s): wait for the next one in the app", r.Reason)
	}
	// A crash here leaves the codes from before in force; enrolling again gives new ones.
	if err := s.codes.Keep(ctx, id); err != nil {
		return enrolment{}, fmt.Errorf("the app is confirmed, its recovery codes are not: enroll once more: %w", err)
	}
	return enrolment{Confirmed: true}, nil
}
