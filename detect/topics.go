package detect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"doorward/auth"
	"doorward/store/outbox"
)

// The topics that Doorward writes (EVENTS.md, "What comes back"), and the one it reads unless told otherwise.
const (
	TopicEvents   = "doorward.events.v1"
	TopicState    = "doorward.account-state.v1" // compacted, key = account id
	TopicFindings = "doorward.findings.v1"
	TopicNotices  = "doorward.notices.v1"
	TopicAudit    = "doorward.audit.v1"
	TopicDead     = "doorward.dlq.v1"
)

// source is the CloudEvents source of everything Doorward says.
const source = "/doorward"

// cloudEvent is the row for a CloudEvent in binary mode, keyed by account.
func cloudEvent(topic, id string, account auth.AccountID, at time.Time, body any) (outbox.Row, error) {
	value, err := plainJSON(body)
	if err != nil {
		return outbox.Row{}, fmt.Errorf("encode a record for %s: %w", topic, err)
	}
	return outbox.Row{
		ID: id, Topic: topic, Partition: -1, Key: []byte(account), Value: value,
		Headers: headers("ce_specversion", "1.0", "ce_id", id, "ce_source", source, "ce_type", topic, "ce_subject", string(account),
			"ce_time", at.UTC().Format(time.RFC3339Nano), "content-type", "application/json"),
	}, nil
}

// plainJSON is JSON as people read it: ">=" stands as it is. Nobody puts it into HTML unescaped.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// headers makes headers of names and values in turn.
func headers(pairs ...string) []outbox.Header {
	hs := make([]outbox.Header, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		hs = append(hs, outbox.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return hs
}
