// Package baseline owns the obvious stack: what a team builds in a week to do Doorward's work, so that `doorward bench --baseline` has
// something to be compared with on the same machine, over the same events, in the same run.
//
//   - segmentio/kafka-go's Reader in a consumer group, FetchMessage and CommitMessages;
//   - encoding/json into structs;
//   - a lookup of the address in an mmdb file for each event;
//   - the account's record read from and written to Badger for each event, 1,000 events and the offsets in one transaction, with Badger's
//     defaults, so without a sync;
//   - 40 rules as expr programs over the facts, run one after the other by its VM.
//
// Invariant: it is nobody's engine. Nothing but the bench imports it, it decides nothing, and it alone may import the libraries that
// otherwise have one door each. It keeps windows of accounts only: none across accounts, no repeats, no journal, no findings, no states.
package baseline
