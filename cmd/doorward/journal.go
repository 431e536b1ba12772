package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"doorward/store/journal"
)

func journalCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{Use: "journal", Short: "Verify the audit journal"}
	verify := &cobra.Command{
		Use: "verify", Short: "Recompute the whole chain of the journal: is every entry there, and as it was written?",
		Long: `Recomputes the SHA-256 chain from the first entry to the head. Compare the head with one that the platform kept from topic
doorward.audit.v1: a journal that was cut and written anew has another one. Exit code 5 when an entry was altered, is missing or was added.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			var v journal.Report
			if err := call(c.Context(), t, cfg, "journal.verify", struct{}{}, &v); err != nil {
				return err
			}
			if err := t.print(v, func(w io.Writer) {
				if v.OK {
					fmt.Fprintf(w, "%d entries, every one as it was written\nhead %s\n", v.Entries, v.Head)
				} else {
					fmt.Fprintf(w, "ALTERED at entry %d: %s\n", v.FirstBad, v.Problem)
				}
			}); err != nil {
				return err
			}
			if !v.OK {
				return &exit{exitIntegrity, fmt.Errorf("the journal was altered at entry %d (%s): keep a copy of the store as it is, and compare it with topic doorward.audit.v1", v.FirstBad, v.Problem)}
			}
			return nil
		},
	}
	storeFlags(verify)
	c.AddCommand(verify)
	return c
}

func journalVerify(ctx context.Context, s *house, _ struct{}) (journal.Report, error) {
	return journal.Verify(ctx, s.db, nil)
}
