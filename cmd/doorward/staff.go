package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"doorward/auth/staff"
)

type staffRequest struct {
	Name string `json:"name"`
	Role string `json:"role"`
}

type staffLink struct {
	Link string `json:"link"`
}

func staffCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{Use: "staff", Short: "Invite security staff"}
	var role string
	invite := &cobra.Command{
		Use: "invite NAME", Short: "Make a one-time link by which somebody chooses a password and enrols an authenticator app (24 h)",
		Long: `Makes a one-time link, good for 24 hours. A member of that name keeps what they have until the link is used; then password, authenticator
and role are new. So it is also the way back for staff who lost theirs.`,
		Example: "  doorward staff invite ana --role admin", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, ok := staff.ParseRole(role); !ok {
				return fail(exitUsage, "--role %s: it is admin, analyst or viewer", role)
			}
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			var l staffLink
			if err := call(c.Context(), t, cfg, "staff.invite", staffRequest{args[0], role}, &l); err != nil {
				return err
			}
			return t.print(l, func(w io.Writer) { fmt.Fprintln(w, l.Link) })
		},
	}
	invite.Flags().StringVar(&role, "role", "analyst", "admin, analyst or viewer")
	storeFlags(invite)
	c.AddCommand(invite)
	return c
}

func staffInvite(ctx context.Context, s *house, in staffRequest) (staffLink, error) {
	role, ok := staff.ParseRole(in.Role)
	if !ok {
		return staffLink{}, fail(exitUsage, "no role %q", in.Role)
	}
	link, err := s.staff.Invite(ctx, in.Name, role, "operator")
	return staffLink{link}, err
}
