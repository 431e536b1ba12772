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
		Use: "enroll ID", Short: "Make a secret and recovery codes for an account; it counts when one code has confirmed it",
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
					fmt.Fprintln(w, "The authenticator app is confirmed and counts from now on.")
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
	enroll.Flags().String("store", "", "directory of the store")
	c.AddCommand(enroll)
	return c
}

func totpEnroll(ctx context.Context, s *service, in totpRequest) (enrolment, error) {
	id, err := auth.ParseAccountID(in.ID)
	if err != nil {
		return enrolment{}, &exit{exitUsage, err}
	}
	e, err := s.factors.Enrol(ctx, id)
	if err != nil {
		return enrolment{}, err
	}
	codes, err := s.codes.Issue(ctx, id)
	if err != nil {
		return enrolment{}, err
	}
	return enrolment{URI: e.URI, Key: e.Key, RecoveryCodes: codes}, nil
}

func totpConfirm(ctx context.Context, s *service, in totpRequest) (enrolment, error) {
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
	return enrolment{Confirmed: true}, nil
}
