package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"doorward/detect"
)

// Config are all settings (COMMANDS.md, "Settings"). Every one has a default that is safe on one machine.
type Config struct {
	Store       string `yaml:"store"`
	Brokers     words  `yaml:"brokers"`
	Topics      words  `yaml:"topics"`
	Partitioner string `yaml:"partitioner"`
	Kafka       struct {
		TLS      bool   `yaml:"tls"`
		CAFile   string `yaml:"ca_file"`
		SASL     string `yaml:"sasl"`
		User     string `yaml:"user"`
		Password string `yaml:"password"`
	} `yaml:"kafka"`
	Rules   string   `yaml:"rules"`
	Geo     words    `yaml:"geo"`
	Portal  listener `yaml:"portal"`
	Console listener `yaml:"console"`
	API     listener `yaml:"api"`
	Metrics listener `yaml:"metrics"`
	TLS     struct {
		CertFile string `yaml:"cert_file"`
		KeyFile  string `yaml:"key_file"`
	} `yaml:"tls"`
	SMTP struct {
		Address  string `yaml:"address"`
		User     string `yaml:"user"`
		Password string `yaml:"password"`
		From     string `yaml:"from"`
	} `yaml:"smtp"`
	History  duration `yaml:"history"`
	Findings duration `yaml:"findings"`
	Decide   struct {
		Timeout duration `yaml:"timeout"`
		Fail    string   `yaml:"fail"`
	} `yaml:"decide"`
	Contacts  []contact `yaml:"contacts"`
	Languages words     `yaml:"languages"`
	Probation duration  `yaml:"probation"`

	MigrateWithoutBackup bool `yaml:"migrate_without_backup"`
}

type listener struct {
	Listen    string `yaml:"listen"`
	PublicURL string `yaml:"public_url"`
}

// contact is a way to reach people, as the portal shows it.
type contact struct {
	Label   string `yaml:"label"`
	Address string `yaml:"address"`
	Hours   string `yaml:"hours"`
}

// words is a list of strings that is read from one text too, with commas between, as flags and the environment give it.
type words []string

func (w *words) UnmarshalYAML(b []byte) error {
	var all []string
	if err := yaml.Unmarshal(b, &all); err == nil {
		*w = all
		return nil
	}
	var one string
	if err := yaml.Unmarshal(b, &one); err != nil {
		return errors.New("it is a list, or one text with commas")
	}
	*w = parseWords(one)
	return nil
}

func parseWords(s string) (w words) {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			w = append(w, part)
		}
	}
	return w
}

// duration is a time.Duration that also reads days: 90d.
type duration time.Duration

func (d *duration) UnmarshalYAML(b []byte) error {
	v, err := parseDuration(strings.Trim(strings.TrimSpace(string(b)), `"'`))
	*d = duration(v)
	return err
}

// String writes whole days as days, as people set them.
func (d duration) String() string {
	if day := 24 * time.Hour; time.Duration(d)%day == 0 {
		return fmt.Sprintf("%dd", time.Duration(d)/day)
	}
	return time.Duration(d).String()
}

func parseDuration(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		var days int
		if _, err := fmt.Sscanf(n, "%d", &days); err != nil || fmt.Sprint(days) != n {
			return 0, fmt.Errorf("%q is not a duration: write 90d, 36h, 250ms", s)
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: write 90d, 36h, 250ms", s)
	}
	return d, nil
}

func defaults() *Config {
	c := new(Config)
	c.Store = "doorward-data"
	c.Topics = []string{detect.TopicEvents}
	c.Partitioner = "murmur2"
	c.Portal.Listen, c.Console.Listen = "127.0.0.1:8443", "127.0.0.1:8444"
	c.API.Listen, c.Metrics.Listen = "127.0.0.1:8445", "127.0.0.1:9464"
	c.History, c.Findings = duration(90*24*time.Hour), duration(400*24*time.Hour)
	c.Decide.Timeout, c.Decide.Fail = duration(250*time.Millisecond), "hold"
	c.Languages = []string{"en", "zh-Hans", "es", "fr", "de"}
	c.Probation = duration(72 * time.Hour)
	return c
}

// setting is one key of the settings as text, for the environment and for flags.
type setting struct {
	key    string
	set    func(*Config, string) error
	secret bool // has a _FILE variant
}

func text(p func(*Config) *string) func(*Config, string) error {
	return func(c *Config, s string) error { *p(c) = s; return nil }
}

func list(p func(*Config) *words) func(*Config, string) error {
	return func(c *Config, s string) error { *p(c) = parseWords(s); return nil }
}

func span(p func(*Config) *duration) func(*Config, string) error {
	return func(c *Config, s string) error {
		d, err := parseDuration(s)
		*p(c) = duration(d)
		return err
	}
}

func boolean(p func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, s string) error {
		switch s {
		case "true", "1":
			*p(c) = true
		case "false", "0":
			*p(c) = false
		default:
			return fmt.Errorf("%q: it is true or false", s)
		}
		return nil
	}
}

// settings are all keys that the environment can set: DOORWARD_ and the key in capitals, dots as underscores.
var settings = []setting{
	{"store", text(func(c *Config) *string { return &c.Store }), false},
	{"brokers", list(func(c *Config) *words { return &c.Brokers }), false},
	{"topics", list(func(c *Config) *words { return &c.Topics }), false},
	{"partitioner", text(func(c *Config) *string { return &c.Partitioner }), false},
	{"kafka.tls", boolean(func(c *Config) *bool { return &c.Kafka.TLS }), false},
	{"kafka.ca_file", text(func(c *Config) *string { return &c.Kafka.CAFile }), false},
	{"kafka.sasl", text(func(c *Config) *string { return &c.Kafka.SASL }), false},
	{"kafka.user", text(func(c *Config) *string { return &c.Kafka.User }), false},
	{"kafka.password", text(func(c *Config) *string { return &c.Kafka.Password }), true},
	{"rules", text(func(c *Config) *string { return &c.Rules }), false},
	{"geo", list(func(c *Config) *words { return &c.Geo }), false},
	{"portal.listen", text(func(c *Config) *string { return &c.Portal.Listen }), false},
	{"portal.public_url", text(func(c *Config) *string { return &c.Portal.PublicURL }), false},
	{"console.listen", text(func(c *Config) *string { return &c.Console.Listen }), false},
	{"console.public_url", text(func(c *Config) *string { return &c.Console.PublicURL }), false},
	{"api.listen", text(func(c *Config) *string { return &c.API.Listen }), false},
	{"metrics.listen", text(func(c *Config) *string { return &c.Metrics.Listen }), false},
	{"tls.cert_file", text(func(c *Config) *string { return &c.TLS.CertFile }), false},
	{"tls.key_file", text(func(c *Config) *string { return &c.TLS.KeyFile }), false},
	{"smtp.address", text(func(c *Config) *string { return &c.SMTP.Address }), false},
	{"smtp.user", text(func(c *Config) *string { return &c.SMTP.User }), false},
	{"smtp.password", text(func(c *Config) *string { return &c.SMTP.Password }), true},
	{"smtp.from", text(func(c *Config) *string { return &c.SMTP.From }), false},
	{"history", span(func(c *Config) *duration { return &c.History }), false},
	{"findings", span(func(c *Config) *duration { return &c.Findings }), false},
	{"decide.timeout", span(func(c *Config) *duration { return &c.Decide.Timeout }), false},
	{"decide.fail", text(func(c *Config) *string { return &c.Decide.Fail }), false},
	{"languages", list(func(c *Config) *words { return &c.Languages }), false},
	{"probation", span(func(c *Config) *duration { return &c.Probation }), false},
	{"migrate_without_backup", boolean(func(c *Config) *bool { return &c.MigrateWithoutBackup }), false},
}

func (s *setting) env() string {
	return "DOORWARD_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// loadConfig reads the settings for a command: default, then file, then environment, then the command's flags of the same names.
func loadConfig(c *cobra.Command, env func(string) (string, bool)) (*Config, error) {
	cfg := defaults()
	file, _ := c.Flags().GetString("config")
	if file == "" {
		file, _ = env("DOORWARD_CONFIG")
	}
	if file != "" {
		if err := cfg.readFile(file); err != nil {
			return nil, err
		}
	}
	for _, s := range settings {
		value, ok := env(s.env())
		if path, fromFile := env(s.env() + "_FILE"); s.secret && fromFile {
			if ok {
				return nil, fail(exitUsage, "both %s and %s_FILE are set: unset one", s.env(), s.env())
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, fail(exitUsage, "%s_FILE: %w", s.env(), err)
			}
			value, ok = strings.TrimRight(string(b), "\r\n"), true
		}
		if ok {
			if err := s.set(cfg, value); err != nil {
				return nil, fail(exitUsage, "%s: %w", s.env(), err)
			}
		}
		if f := c.Flags().Lookup(strings.ReplaceAll(s.key, "_", "-")); f != nil && f.Changed {
			if err := s.set(cfg, f.Value.String()); err != nil {
				return nil, fail(exitUsage, "--%s: %w", f.Name, err)
			}
		}
	}
	if err := cfg.check(); err != nil {
		return nil, &exit{exitUsage, err}
	}
	return cfg, nil
}

// readFile reads a YAML file strictly: an unknown key is an error with its place.
func (c *Config) readFile(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fail(exitUsage, "config: %w", err)
	}
	if len(b) > 256<<10 {
		return fail(exitUsage, "config: %s is larger than 256 KiB", path)
	}
	err = yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(c)
	if err == nil || len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	message := yaml.FormatError(err, false, true)
	for _, s := range settings {
		last := s.key[strings.LastIndexByte(s.key, '.')+1:]
		if word := unknownWord(message); word != "" && near(word, last) {
			message += fmt.Sprintf("\ndid you mean %q?", s.key)
			break
		} else if outer, inner, dotted := strings.Cut(s.key, "."); dotted && word == s.key {
			message += fmt.Sprintf("\nin a file a dot is a level: write %s: {%s: ...}", outer, inner)
			break
		}
	}
	return fail(exitUsage, "config %s: %s", path, message)
}

// unknownWord is the key that a strict decoder complains of.
func unknownWord(message string) string {
	_, rest, ok := strings.Cut(message, `unknown field "`)
	if !ok {
		return ""
	}
	word, _, _ := strings.Cut(rest, `"`)
	return word
}

// near reports whether one edit, or one swap of neighbours, makes a out of b.
func near(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || len(b) < 3 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return i == len(a) || a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// check refuses settings that can't work, naming each and what would be right.
func (c *Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	oneOf := func(key, value string, of ...string) {
		if !slices.Contains(of, value) {
			bad("%s: %q is none of %s", key, value, strings.Join(of, ", "))
		}
	}
	oneOf("partitioner", c.Partitioner, "murmur2", "crc32")
	oneOf("kafka.sasl", c.Kafka.SASL, "", "plain", "scram-sha-256", "scram-sha-512")
	oneOf("decide.fail", c.Decide.Fail, "hold", "allow")
	if c.Kafka.SASL != "" && (c.Kafka.User == "" || c.Kafka.Password == "") {
		bad("kafka.sasl is %s: kafka.user and kafka.password are needed", c.Kafka.SASL)
	}
	for _, l := range c.Languages {
		oneOf("languages", l, "en", "zh-Hans", "es", "fr", "de")
	}
	if len(c.Languages) == 0 {
		bad("languages: at least one is needed; the first is for owners whose own is not known")
	}
	if len(c.Topics) == 0 {
		bad("topics: at least one input topic is needed")
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		bad("tls.cert_file and tls.key_file go together")
	}
	for _, l := range []struct {
		key string
		*listener
	}{{"portal", &c.Portal}, {"console", &c.Console}, {"api", &c.API}, {"metrics", &c.Metrics}} {
		host, _, err := net.SplitHostPort(l.Listen)
		if err != nil {
			bad("%s.listen: %q is not HOST:PORT", l.key, l.Listen)
			continue
		}
		ip := net.ParseIP(host)
		if host != "localhost" && (ip == nil || !ip.IsLoopback()) && c.TLS.CertFile == "" {
			bad("%s.listen: %s is reachable from outside this machine, so tls.cert_file and tls.key_file are needed", l.key, l.Listen)
		}
		if u, err := url.Parse(l.PublicURL); l.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Path != "" && u.Path != "/") {
			bad("%s.public_url: %q is not https://HOST", l.key, l.PublicURL)
		}
	}
	if d := time.Duration(c.Probation); d < time.Hour || d > 90*24*time.Hour {
		bad("probation: %v is not between 1h and 90d", d)
	}
	if d := time.Duration(c.Decide.Timeout); d < time.Millisecond || d > 30*time.Second {
		bad("decide.timeout: %v is not between 1ms and 30s", d)
	}
	return errors.Join(errs...)
}
