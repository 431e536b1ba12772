package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/store"
)

func accountCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{Use: "account", Short: "Show, lock and unlock an account"}
	c.AddCommand(&cobra.Command{
		Use: "show ID", Short: "Show an account's state", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return accountCall(c, t, "account.show", accountRequest{ID: args[0]})
		},
	}, actCommand(t, "lock", auth.ActLock, "Lock an account: no sign-in, no money out, no changes"),
		actCommand(t, "unlock", auth.ActUnlock, "Open an account again; what happened before counts no more"))
	for _, sub := range c.Commands() {
		storeFlags(sub)
	}
	return c
}

func actCommand(t *terminal, verb string, kind auth.ActKind, short string) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1), Example: fmt.Sprintf("  doorward account %s acct-42 --reason \"owner called\"", verb),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return fail(exitUsage, "--reason is needed: it stands in the journal")
			}
			return accountCall(c, t, "account.act", accountRequest{ID: args[0], Kind: kind, Reason: reason})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the journal (needed)")
	return c
}

// accountRequest asks for an account's record, or for an act on it.
type accountRequest struct {
	ID     string       `json:"id"`
	Kind   auth.ActKind `json:"kind,omitempty"`
	Reason string       `json:"reason,omitempty"`
}

func accountCall(c *cobra.Command, t *terminal, name string, in accountRequest) error {
	cfg, err := loadConfig(c, os.LookupEnv)
	if err != nil {
		return err
	}
	var r auth.Record
	if err := call(c.Context(), t, cfg, name, in, &r); err != nil {
		return err
	}
	return t.print(r, func(w io.Writer) { printRecord(w, &r) })
}

func printRecord(w io.Writer, r *auth.Record) {
	rows := [][]string{{"account", string(r.Account)}, {"state", string(r.State)}, {"version", fmt.Sprint(r.Version)}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	var refuse []string
	for _, f := range r.Refuse {
		refuse = append(refuse, string(f))
	}
	add("refuse", strings.Join(refuse, ", "))
	if r.Challenge {
		add("challenge", "a second factor is asked for")
	}
	add("reason", r.Reason)
	if r.Since != nil {
		add("since", r.Since.Format(time.RFC3339))
	}
	if r.Until != nil {
		add("until", r.Until.Format(time.RFC3339))
	}
	add("case", r.Case)
	add("recovery", r.Recovery)
	add("findings", strings.Join(r.Findings, " "))
	if r.Unknown {
		add("unknown", "the shard is not loaded: this may not be the newest state")
	}
	table(w, rows...)
}

func accountShow(ctx context.Context, s *house, in accountRequest) (auth.Record, error) {
	id, err := auth.ParseAccountID(in.ID)
	if err != nil {
		return auth.Record{}, &exit{exitUsage, err}
	}
	return s.account(ctx, id)
}

// accountAct puts an operator's act to the account's shard and waits until it is applied.
func accountAct(ctx context.Context, s *house, in accountRequest) (auth.Record, error) {
	id, err := auth.ParseAccountID(in.ID)
	if err != nil {
		return auth.Record{}, &exit{exitUsage, err}
	}
	if _, err := s.home(ctx, id); err != nil {
		return auth.Record{}, err
	}
	act := auth.Act{ID: "operator-" + rand.Text(), Kind: in.Kind, Account: id, At: s.now().UTC(), By: "operator", Reason: in.Reason}
	var with *store.Batch
	if act.Kind == auth.ActUnlock { // whoever used the owner's tries up must not keep them out
		if with, err = s.factors.UnpauseBatch(ctx, id); err != nil {
			return auth.Record{}, err
		}
	}
	if err := s.desk.Submit(ctx, act, with); err != nil {
		return auth.Record{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	o, err := s.desk.Await(ctx, act.ID)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return auth.Record{}, errors.New("the act is in the shard's inbox and will be applied; its shard is not answering now")
	case err != nil:
		return auth.Record{}, err
	case o.Refused != "":
		return auth.Record{}, fmt.Errorf("refused (%s): the account is %s", o.Refused, o.Record.State)
	}
	return o.Record, nil
}
