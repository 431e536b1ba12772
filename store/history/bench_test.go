package history

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkAdd: a thousand events of 500 bytes a call, over ten thousand accounts.
func BenchmarkAdd(b *testing.B) {
	s, err := Open(b.TempDir(), time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	raw := make([]byte, 500)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	n := 0
	for b.Loop() {
		lines := make([]Line, 1000)
		for i := range lines {
			n++
			lines[i] = Line{
				Account: fmt.Sprintf("acct-%d", n*7919%10_000), At: at.Add(time.Duration(n) * time.Millisecond), Arrival: at,
				Source: "/wallet", ID: fmt.Sprint(n), Type: "login.failed", Topic: "doorward.events.v1", Offset: int64(n), Raw: raw,
			}
		}
		if err := s.Add(b.Context(), lines, []Position{{Topic: "doorward.events.v1", Offset: int64(n)}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}
