package window

import (
	"testing"

	"doorward/rules/event"
)

func reportBytes(b *testing.B, fs []*feed, accounts int) {
	total := 0
	for _, f := range fs {
		for _, k := range Keys {
			total += f.Bytes(k)
		}
	}
	b.ReportMetric(float64(total)/float64(accounts), "B/account")
}

func warm(f *feed, events []*event.Event) { f.Warm(events) }
