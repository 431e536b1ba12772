package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/store/history"
)

func serveCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "serve", Short: "Run the service: read events, lock accounts, let owners back in",
		Long: `Reads the input topics, decides, publishes states, findings and notices, and serves the owners' portal, the staff console, the platform's
API and metrics. The store must exist (` + "`doorward init`" + `); one of an older format is
brought to this program's first, if there is a backup of it. Logs are JSON lines on stderr; the one with "msg":"ready" names the listeners.`,
		Example: "  doorward serve --store /var/lib/doorward --brokers broker-1:9092,broker-2:9092", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(t.talk, nil))
			s, err := openHouse(cfg, log)
			if err != nil {
				return err
			}
			err = s.serve(c.Context(), serveOptions{})
			return errors.Join(err, s.close())
		},
	}
	storeFlags(c)
	c.Flags().String("brokers", "", "HOST:PORT, several with commas")
	return c
}

// serveOptions is what the demo does differently.
type serveOptions struct {
	sparePorts bool                      // any free port where the wanted one is taken
	send       notice.Send               // instead of a mail server
	ready      func(map[string]net.Addr) // called when everything answers
}

// serve runs everything until ctx ends, or until something fails that the rest can't do without.
func (s *house) serve(ctx context.Context, o serveOptions) error {
	certificate, err := s.cfg.loadCertificate()
	if err != nil {
		return err
	}
	sites, err := s.listen(o.sparePorts)
	if err != nil {
		return err
	}
	defer closeSites(sites)
	s.staff.PublicURL = s.cfg.consoleURL() // with the port that was free
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer s.client.Close()
	if err := s.openHistory(); err != nil {
		return err
	}
	defer s.history.Close()
	if err := s.openMail(o.send); err != nil {
		return err
	}
	if err := s.handlers(sites); err != nil {
		return err
	}
	s.compared = make(chan struct{})
	work := newCrew(ctx)
	work.run("published states", s.compareStates)
	work.run("shards", s.runShards)
	work.run("kafka", func(ctx context.Context) error {
		return s.client.Run(ctx, func(ctx context.Context, shard int, src detect.Source) error { return s.shards[shard].Feed(ctx, src) })
	})
	work.run("history", s.keepHistory)
	work.run("deadlines", s.watchDeadlines)
	work.run("progress", s.tellProgress)
	work.run("audit", s.publishAudit)
	work.run("retention", s.sweep)
	work.run("mail", s.mail.run)
	work.run("administration", s.serveAdmin)
	for _, p := range s.parts {
		work.run(p.name, p.run)
	}
	addresses := map[string]net.Addr{}
	for _, st := range sites {
		addresses[st.name] = st.l.Addr()
		work.run(st.name, func(ctx context.Context) error {
			l := st.l
			if certificate != nil {
				l = tls.NewListener(l, certificate)
			}
			server := newServer(st.handler, certificate)
			for _, f := range s.onStop {
				server.RegisterOnShutdown(f)
			}
			return serveUntil(ctx, server, l)
		})
	}
	s.log.Info("ready", "portal", s.cfg.portalURL(), "console", s.cfg.consoleURL(), "api", s.cfg.publicURL(s.cfg.API), "metrics",
		s.cfg.publicURL(s.cfg.Metrics), "brokers", s.cfg.Brokers, "topics", s.cfg.Topics, "shards", s.shape.Shards, "rules", len(s.rules.Rules()))
	if o.ready != nil {
		work.run("demo", func(ctx context.Context) error { o.ready(addresses); <-ctx.Done(); return nil })
	}
	return work.wait()
}

// part is something that runs as long as the service.
type part struct {
	name string
	run  func(context.Context) error
}

// crew runs the parts of a service: all end when one fails, or with the context.
type crew struct {
	ctx  context.Context
	stop context.CancelCauseFunc
	all  sync.WaitGroup
}

func newCrew(ctx context.Context) *crew {
	c := &crew{}
	c.ctx, c.stop = context.WithCancelCause(ctx)
	return c
}

func (c *crew) run(name string, part func(context.Context) error) {
	c.all.Go(func() {
		if err := part(c.ctx); err != nil && c.ctx.Err() == nil {
			c.stop(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// wait ends with the failure of the part that failed first; an end that was asked for is none.
func (c *crew) wait() error {
	c.all.Wait()
	if err := context.Cause(c.ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// listen opens the four listeners before anything else, so that a taken port is said at once.
func (s *house) listen(spare bool) ([]*site, error) {
	sites := []*site{{name: "portal"}, {name: "console"}, {name: "api"}, {name: "metrics"}}
	settings := []*listener{&s.cfg.Portal, &s.cfg.Console, &s.cfg.API, &s.cfg.Metrics}
	for i, st := range sites {
		l, err := listen(settings[i].Listen, spare)
		if err != nil {
			closeSites(sites)
			return nil, fail(exitFailure, "%s.listen: %w", st.name, err)
		}
		st.l = l
		settings[i].Listen = l.Addr().String()
	}
	return sites, nil
}

func closeSites(sites []*site) {
	for _, st := range sites {
		if st.l != nil {
			st.l.Close() // again after the server closed it: nothing to say
		}
	}
}

// connect reaches the broker, makes the topics and gives a new store its shape.
func (s *house) connect(ctx context.Context) error {
	if len(s.cfg.Brokers) == 0 {
		return fail(exitUsage, "brokers: none are set: --brokers HOST:PORT, DOORWARD_BROKERS, or brokers: in the config file")
	}
	client, err := kafka.Connect(ctx, kafka.Config{
		Brokers: s.cfg.Brokers, TLS: s.cfg.Kafka.TLS, CAFile: s.cfg.Kafka.CAFile, SASL: s.cfg.Kafka.SASL, User: s.cfg.Kafka.User,
		Password: s.cfg.Kafka.Password, Inputs: s.cfg.Topics, Partitioner: s.cfg.Partitioner, Store: s.db.ID(), Log: s.log,
		Acked: s.marks.Acked,
	})
	if err != nil {
		return &exit{exitConnect, err}
	}
	err = s.knowCluster(ctx, client)
	if err == nil {
		err = s.cutTo(ctx, client)
	}
	if err != nil {
		client.Close()
		return err
	}
	s.client, s.publish = client, s.publishRows
	return nil
}

// cutTo makes the topics and gives the store their shape.
func (s *house) cutTo(ctx context.Context, client *kafka.Client) error {
	partitions, warnings, err := client.EnsureTopics(ctx, kafka.Outputs())
	for _, w := range warnings {
		s.log.Warn(w)
	}
	if err != nil {
		return err
	}
	return s.cut(ctx, partitions)
}

// openMail makes the mailroom.
func (s *house) openMail(send notice.Send) error {
	w, err := notice.New(notice.Config{Keys: s.keys, PublicURL: s.cfg.portalURL(), Zone: ownerZone, Language: s.cfg.Languages[0],
		Profiles: func(ctx context.Context, id auth.AccountID) (*auth.Profile, error) {
			p, _, err := auth.LoadProfile(ctx, s.db, s.keys, id)
			return p, err
		},
		RecoveryToken: func(id string) (string, error) { return s.flow.Current(context.Background(), id) },
	})
	if err != nil {
		return err
	}
	if send == nil && s.cfg.SMTP.Address != "" {
		m, err := notice.NewMailer(notice.MailConfig{Address: s.cfg.SMTP.Address, User: s.cfg.SMTP.User, Password: s.cfg.SMTP.Password,
			From: s.cfg.SMTP.From, TLS: smtpTLS(s.cfg.SMTP.Address), HTML: w.HTML})
		if err != nil {
			return fail(exitUsage, "%w", err)
		}
		send = m.Send
	}
	if send == nil {
		s.log.Warn("no mail server is configured (smtp.address): notices are published to their topic, and nobody is mailed")
	}
	s.mail = &mailroom{engine: s.db, keys: s.keys, writer: w, send: send, log: s.log, now: s.now, wakes: make(chan struct{}, 1)}
	return nil
}

// smtpTLS is how mail goes: in the clear on loopback only, TLS from the first byte on port 465, else STARTTLS.
func smtpTLS(address string) notice.TLS {
	host, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return notice.NoTLS
	}
	if port == "465" {
		return notice.Implicit
	}
	return notice.StartTLS
}

// handlers makes what answers on each listener.
func (s *house) handlers(sites []*site) error {
	for _, st := range sites {
		var err error
		switch st.name {
		case "portal":
			st.handler, err = s.portal()
		case "console":
			st.handler, err = s.console()
		case "api":
			st.handler, err = s.api()
		case "metrics":
			st.handler = s.metrics()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
	}
	return nil
}

// openHistory opens what people look at later. Its damage stops nothing: it is put aside and filled again from the topics.
func (s *house) openHistory() (err error) {
	dir := filepath.Join(s.cfg.Store, "history")
	var damage error
	if s.history, damage, err = history.OpenAnew(dir, time.Duration(s.cfg.History)); damage != nil {
		s.note = "the history of events was damaged and is filled again from the topics; what was there lies in " + dir + history.Aside + " and may be deleted"
		s.log.Error(s.note, "damage", damage)
	}
	return err
}
