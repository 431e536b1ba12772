package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones on machines that have none

	"github.com/spf13/cobra"
)

// Exit codes, the same for every command (COMMANDS.md).
const (
	exitOK        = 0
	exitFailure   = 1
	exitUsage     = 2
	exitRules     = 3 // rules are wrong, or their tests failed
	exitConnect   = 4 // a broker or a running service could not be reached
	exitIntegrity = 5 // the store or the journal is damaged or was altered
	exitInterrupt = 130
)

// exit is an error with the code that the process ends with.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string { return e.err.Error() }
func (e *exit) Unwrap() error { return e.err }

func fail(code int, format string, args ...any) error {
	return &exit{code, fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main for tests too: it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, talk io.Writer) int {
	t := &terminal{in: in, out: out, talk: talk}
	root := newRoot(t)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(talk)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var e *exit
	switch {
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		e = &exit{exitInterrupt, errors.New("interrupted")}
	default:
		e = &exit{exitFailure, err}
	}
	if e.err != errSaid {
		fmt.Fprintln(talk, "doorward: "+printable(e.Error()))
	}
	return e.code
}

// errSaid is an error whose message is out already, as part of a command's output.
var errSaid = errors.New("said")

// newRoot is the whole command line.
func newRoot(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "doorward",
		Short: "Keeps thieves out of people's wallets",
		Long: `Doorward reads a payment platform's login, account-change and transaction events from Kafka, runs them through rules, flags
unauthorized activity, locks or limits the account before the money leaves, and guides the owner back in.

  doorward demo                            everything at once, on this machine, with live traffic and attacks
  doorward init && doorward serve          the service, with your broker
  doorward replay events.ndjson            what the rules find in a file
  doorward explain EVENT --file events.ndjson

Exit codes: 0 ok, 1 failure, 2 usage, 3 rules or their tests failed, 4 cannot connect, 5 integrity check failed, 130 interrupted.
Settings: flag > DOORWARD_* environment > --config file > default.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.PersistentFlags().StringVarP(&t.format, "output", "o", "human", "how results are printed: human or json")
	root.PersistentFlags().String("config", "", "YAML file with settings (default: $DOORWARD_CONFIG)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fail(exitUsage, "%w (see `%s --help`)", err, c.CommandPath())
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if t.format != "human" && t.format != "json" {
			return fail(exitUsage, "-o %s: it is human or json", t.format)
		}
		return nil
	}
	root.AddCommand(demoCommand(t), initCommand(t), serveCommand(t), replayCommand(t), backfillCommand(t), simulateCommand(t), rulesCommand(t),
		explainCommand(t), accountCommand(t), totpCommand(t), staffCommand(t), journalCommand(t), storeCommand(t), dlqCommand(t), benchCommand(t), versionCommand(t))
	usageErrors(root)
	return root
}

// usageErrors makes wrong arguments end with exitUsage, and gives commands that only group others a clear answer.
func usageErrors(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return fail(exitUsage, "%w (see `%s --help`)", err, c.CommandPath())
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fail(exitUsage, "%s has no command %q%s", c.CommandPath(), args[0], suggest(c, args[0]))
			}
			return nil
		}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	for _, sub := range c.Commands() {
		usageErrors(sub)
	}
}

func suggest(c *cobra.Command, word string) string {
	c.SuggestionsMinimumDistance = 2
	if s := c.SuggestionsFor(word); len(s) > 0 {
		return fmt.Sprintf("; did you mean %q?", s[0])
	}
	return fmt.Sprintf(" (see `%s --help`)", c.CommandPath())
}
