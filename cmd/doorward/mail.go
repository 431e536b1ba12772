package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/auth/recovery"
	"doorward/detect"
	"doorward/store"
	"doorward/store/outbox"
)

// mailShard is the number under which notices wait for the mail server in the outbox: no partition has it. A slow or broken mail server
// holds up mail, and nothing else.
const mailShard = 1<<16 - 1

// mailroom turns notices that are due into text, and takes them to their owners.
type mailroom struct {
	engine store.Engine
	keys   *auth.Keys
	writer *notice.Writer
	send   notice.Send // nil: no mail server is configured, notices are published only
	log    *slog.Logger
	now    func() time.Time
	wakes  chan struct{}
	sent   map[string]bool // deliver's own, while rows are given again: notice and address that are done with
}

// dated is a record that is swept by its time.
type dated struct {
	At time.Time `json:"at"`
}

// sealLetter is what letters are sealed for in the outbox: they hold addresses in full, which a profile keeps sealed too, and links.
const sealLetter = "letter"

// letter is a row of the mail outbox: sealed, for the account that is the row's key.
type letter struct {
	Notice notice.Notice `json:"notice"`
	To     []string      `json:"to"`
	Since  time.Time     `json:"since"` // when it was put there
}

// notice makes the record of doorward.notices.v1 of a row that says a notice is due, and puts the mail into the outbox, once for each
// notice however often its row is published.
func (m *mailroom) notice(ctx context.Context, row outbox.Row) (outbox.Row, error) {
	var due notice.Due
	if err := json.Unmarshal(row.Value, &due); err != nil {
		return row, fmt.Errorf("decode a notice: %w", err)
	}
	n, to, err := m.writer.Write(ctx, due)
	if errors.Is(err, auth.ErrSealed) || errors.Is(err, recovery.ErrLink) {
		// it will never be written, and must not keep locks behind it from the platform: that is told of it without a text
		m.log.Error("a notice can't be written", "notice", due.ID, "kind", due.Kind, "problem", err)
		n, to, err = notice.Notice{ID: due.ID, Account: due.Account, Kind: due.Kind, Finding: due.Finding, At: due.At}, nil, nil
	}
	if err != nil {
		return row, err
	}
	if row.Value, err = json.Marshal(n); err != nil {
		return row, fmt.Errorf("encode a notice: %w", err)
	}
	if m.send == nil || len(to) == 0 {
		return row, nil
	}
	return row, m.queue(ctx, n, to)
}

// queue puts a letter into the outbox. Its mark stays when it has been sent, so that the same notice is not sent again.
func (m *mailroom) queue(ctx context.Context, n notice.Notice, to []string) error {
	value, err := json.Marshal(letter{n, to, m.now().UTC()})
	if err != nil {
		return fmt.Errorf("encode a letter: %w", err)
	}
	sum := sha256.Sum256([]byte(n.ID))
	pair, err := outbox.Pair(mailShard, uint64(max(m.now().UnixMilli(), 0)), binary.BigEndian.Uint32(sum[:]), outbox.Row{ID: n.ID, Topic: "mail",
		Key: []byte(n.Account), Value: m.keys.Seal(sealLetter, n.Account, value)})
	if err != nil {
		return err
	}
	mark := store.Pair{Key: store.Key(store.KindOutcome, "mail-"+n.ID)}
	if mark.Value, err = json.Marshal(dated{m.now().UTC()}); err != nil {
		return fmt.Errorf("encode a mark: %w", err)
	}
	_, err = m.engine.Commit(ctx, &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: mark.Key}}, Put: []store.Pair{mark, pair}})
	if isConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("queue a letter: %w", err)
	}
	select {
	case m.wakes <- struct{}{}:
	default:
	}
	return nil
}

// run sends letters until ctx ends. A letter that the server refuses for good is named in the log and given up; everything else waits.
func (m *mailroom) run(ctx context.Context) error {
	epoch, err := m.engine.Claim(ctx, mailShard, "mail")
	if err != nil {
		return fmt.Errorf("claim the mail outbox: %w", err)
	}
	relay, err := outbox.NewRelay(outbox.Config{Engine: m.engine, Shard: mailShard, Epoch: epoch, Publish: m.deliver, Log: m.log, Anyhow: true})
	if err != nil {
		return err
	}
	go func() { // ends with ctx
		for {
			select {
			case <-ctx.Done():
				return
			case <-m.wakes:
				relay.Wake()
			}
		}
	}()
	return relay.Run(ctx)
}

// deliver sends the letters of rows, to each address by itself. An address that takes nothing just now waits, and holds up no other: somebody's
// full mailbox must not keep the owners of all accounts from hearing. The rows are given again then, and nobody gets a letter twice by that.
func (m *mailroom) deliver(ctx context.Context, rows []outbox.Row) error {
	if m.sent == nil {
		m.sent = map[string]bool{}
	}
	var waiting []error
	for _, r := range rows {
		l, err := m.open(r)
		if err != nil {
			return err
		}
		for _, to := range l.To {
			if m.sent[r.ID+" "+to] {
				continue
			}
			waits, err := m.sendTo(ctx, l, to)
			if err != nil {
				return errors.Join(append(waiting, err)...)
			}
			if waits != nil {
				waiting = append(waiting, waits)
				continue
			}
			m.sent[r.ID+" "+to] = true
		}
	}
	if len(waiting) == 0 {
		clear(m.sent)
	}
	return errors.Join(waiting...)
}

func (m *mailroom) open(r outbox.Row) (l letter, err error) {
	value, err := m.keys.Open(sealLetter, auth.AccountID(r.Key), r.Value)
	if err != nil {
		return l, fmt.Errorf("open a letter: %w", err)
	}
	if err := json.Unmarshal(value, &l); err != nil {
		return l, fmt.Errorf("decode a letter: %w", err)
	}
	return l, nil
}

// sendTo sends a letter to one address, or gives that up. waits is why the address does not take it yet; err is why nothing can be sent.
func (m *mailroom) sendTo(ctx context.Context, l letter, to string) (waits, err error) {
	err = m.send(ctx, l.Notice, []string{to})
	switch {
	case err == nil:
		return nil, nil
	case notice.ForGood(err):
		m.log.Error("the mail server refuses a notice for good", "notice", l.Notice.ID, "problem", err)
		return nil, nil
	case !notice.OfAddresses(err):
		return nil, err
	case m.now().Sub(l.Since) >= recovery.LinkLife: // by then a link in it works no more
		m.log.Error("a notice is given up: its address has taken nothing for a day", "notice", l.Notice.ID, "problem", err)
		return nil, nil
	}
	return err, nil
}

// warnOwner tells an owner what somebody tries, once an hour for each thing.
func (s *house) warnOwner(ctx context.Context, id auth.AccountID, what string) {
	if s.mail == nil {
		return
	}
	hour := s.now().UTC().Truncate(time.Hour)
	due := notice.Due{ID: fmt.Sprintf("%s-%s-%d", what, id, hour.Unix()), Account: id, Kind: notice.CodeUsed, At: s.now().UTC()}
	if err := s.tell(ctx, due, what == "hold"); err != nil {
		s.log.Error("warn an owner", "of", what, "problem", err)
	}
}

// tell mails a notice. The one of a wait says until when, and its link lets the owner stop whoever is waiting.
func (s *house) tell(ctx context.Context, due notice.Due, hold bool) error {
	if hold {
		a, _, err := auth.LoadAccount(ctx, s.db, due.Account)
		if err != nil {
			return err
		}
		r, _, err := recovery.Load(ctx, s.db, a.Recovery)
		if err != nil {
			return err
		}
		due.Kind, due.Recovery, due.Until, due.Reason, due.State = notice.Hold, a.Recovery, r.Hold, a.Reason, a.State
	}
	return s.mail.mail(ctx, due)
}

// mail writes a notice and puts it into the outbox for its owner's addresses; it goes into no topic.
func (m *mailroom) mail(ctx context.Context, due notice.Due) error {
	n, to, err := m.writer.Write(ctx, due)
	if err != nil || m.send == nil || len(to) == 0 {
		return err
	}
	return m.queue(ctx, n, to)
}

// mailCode mails the code of a recovery to one address. It is not queued: it would lie in the store until it is sent.
func (s *house) mailCode(ctx context.Context, id auth.AccountID, address, code string) error {
	if s.mail == nil || s.mail.send == nil {
		return errors.New("no mail server is configured: smtp.address")
	}
	n, err := s.mail.writer.Code(ctx, id, code, s.now().UTC())
	if err != nil {
		return err
	}
	return s.mail.send(ctx, n, []string{address})
}

// publishRows sends rows of the outbox to the broker, notices as text.
func (s *house) publishRows(ctx context.Context, rows []outbox.Row) error {
	messages, err := s.messages(ctx, rows)
	if err != nil {
		return err
	}
	return s.client.Publish(ctx, messages)
}

// messages are rows of the outbox as they are published.
func (s *house) messages(ctx context.Context, rows []outbox.Row) ([]detect.Message, error) {
	messages := make([]detect.Message, len(rows))
	for i, r := range rows {
		if r.Topic == detect.TopicNotices {
			var err error
			if r, err = s.mail.notice(ctx, r); err != nil {
				return nil, err
			}
		}
		m := detect.Message{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, detect.Header(h))
		}
		messages[i] = m
	}
	return messages, nil
}
