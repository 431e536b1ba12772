package event

import (
	"testing"
	"time"
)

// Events as a wallet's producers write them, 350 to 460 bytes.
const (
	loginLine = `{"specversion":"1.0","id":"01JQ8Z3V9W4K7T2M6P8RX5YC1B","source":"/wallet/login","type":"login.failed","subject":"acct-0000042137",` +
		`"time":"2026-03-01T08:00:00.123Z","data":{"ip":"203.0.113.94","device":"dev-7f3a9c51d2e8","user_agent":"Mozilla/5.0 (iPhone; CPU iPhone ` +
		`OS 19_1 like Mac OS X) AppleWebKit/605.1.15","session":"9f86d081884c7d65","method":"password","reason":"bad_password"}}`
	transactionLine = `{"specversion":"1.0","id":"01JQ8Z3V9W4K7T2M","source":"/wallet/ledger","type":"transaction.requested","subject":"acct-00042",` +
		`"time":"2026-03-01T08:03:10.123Z","data":{"ip":"203.0.113.9","device":"dev-7f3a9c","user_agent":"WalletApp/4.12 (Android 15)",` +
		`"geo":{"lat":24.48,"lon":118.09,"country":"CN"},"transaction":"tx-9","kind":"transfer","direction":"out","amount":250000,` +
		`"currency":"CNY","counterparty":"acct-77","counterparty_kind":"person","balance_before":251000,"balance_after":1000}}`
	shuffledLine = `{"data":{"balance_after":1000,"counterparty":"acct-77","geo":{"country":"CN","lon":118.09,"lat":24.48},"ip":"203.0.113.9",` +
		`"amount":250000,"device":"dev-7f3a9c","counterparty_kind":"person","user_agent":"WalletApp/4.12 (Android 15)","direction":"out",` +
		`"kind":"transfer","balance_before":251000,"transaction":"tx-9","currency":"CNY"},"type":"transaction.requested",` +
		`"source":"/wallet/ledger","time":"2026-03-01T08:03:10.123Z","subject":"acct-00042","id":"01JQ8Z3V9W4K7T2M","specversion":"1.0"}`
	extraLine = `{"specversion":"1.0","id":"01JQ8Z3V9W4K7T2M6P8RX5YC1B","source":"/wallet/login","type":"login.succeeded","subject":"acct-0000042137",` +
		`"time":"2026-03-01T08:00:00.123Z","data":{"ip":"203.0.113.94","device":"dev-7f3a9c51d2e8","user_agent":"Mozilla/5.0 (iPhone; CPU iPhone ` +
		`OS 19_1 like Mac OS X) AppleWebKit/605.1.15","session":"9f86d081884c7d65","method":"password","tier":"gold","risk_hint":true}}`
)

type sampleRecord struct {
	name       string
	key, value []byte
	headers    []Header
}

func sampleRecords() []sampleRecord {
	binary := []Header{{"content-type", []byte("application/json")}, {"ce_specversion", []byte("1.0")}, {"ce_id", []byte("01JQ8Z3V9W4K7T2M6P8RX5YC1B")},
		{"ce_source", []byte("/wallet/login")}, {"ce_type", []byte("login.failed")}, {"ce_subject", []byte("acct-0000042137")},
		{"ce_time", []byte("2026-03-01T08:00:00.123Z")}}
	structured := []Header{{"content-type", []byte("application/cloudevents+json")}}
	long, short := []byte("acct-0000042137"), []byte("acct-00042")
	return []sampleRecord{
		{"login", long, []byte(loginLine), structured},
		{"transaction", short, []byte(transactionLine), nil},
		{"binary", long, []byte(`{"ip":"203.0.113.94","device":"dev-7f3a9c51d2e8","user_agent":"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) ` +
			`AppleWebKit/605.1.15","session":"9f86d081884c7d65","method":"password","reason":"bad_password"}`), binary},
		{"shuffled", short, []byte(shuffledLine), nil},
		{"unknown-field", long, []byte(extraLine), nil},
	}
}

// BenchmarkDecode is one event on its way into a shard: read into an Event that was used before.
func BenchmarkDecode(b *testing.B) {
	at := time.UnixMilli(1772352190456)
	for _, r := range sampleRecords() {
		b.Run(r.name, func(b *testing.B) {
			var d Decoder
			var e Event
			b.SetBytes(int64(len(r.value)))
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Record(&e, r.key, r.value, r.headers, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecodeBefore is the same with the decoder that this package began with.
func BenchmarkDecodeBefore(b *testing.B) {
	at := time.UnixMilli(1772352190456)
	for _, r := range sampleRecords() {
		b.Run(r.name, func(b *testing.B) {
			b.SetBytes(int64(len(r.value)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := oracleRecord(r.key, r.value, r.headers, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
