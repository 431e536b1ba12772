// Package faults owns the proof that nothing is lost, doubled or opened whatever breaks: a harness that runs the real program on a real
// store against a real broker, under a seeded load with acts of people among it, does to it what the world does, and compares the history
// of what it did and read back with a reference model ([Check]) that shares no code with the engine.
//
// The load has two rules that the model knows by heart: one puts the exact numbers of an account's events into its evidence, so that an
// event that was lost, or counted twice, or came out of order shows; the other locks. All built-in rules are loaded beside them.
//
// Invariant: a row that can't do to the system what it is about (no root, no loop device) fails and says so; it never passes.
//
// One command for all rows in their short form, and for one row in its long form:
//
//	go test -tags accept ./cmd/doorward/faults -run Fault
//	go test -tags accept ./cmd/doorward/faults -run Fault/kill -faults.kills 1000 -timeout 2h
//	... -run Fault/power -faults.cuts 200; -run Fault/rot -faults.flips 1000; -run Fault/stop -faults.stops 100
//	... -run Fault/suspend -faults.sleep 1h; -run Fault/memory -faults.pressure 1h
//
// A row that fails prints the seed that makes its load and its faults again (-faults.seed). Rows run against the broker of a first run, and
// against Apache Kafka too when DOORWARD_TEST_BROKERS names it (.ci/kafka/run start).
//
// Row moved wants three nodes of Apache Kafka; with -faults.apache rows fail where those are missing:
//
//	eval "$(.ci/kafka/run start 3)"; go test -tags accept ./cmd/doorward/faults -run Fault -faults.apache
//	... -run Fault/broker -faults.outage 10m; -run Fault/storm -faults.storm 10m -faults.apache.all; -run Fault/zombie -faults.freeze 60s
//
// The rows, by the numbers of the fault list (reference: security.md section 6). A test holds the table to the tests that exist.
//
//	fault  test             what must hold                                                                 last result
//	F-1    TestFault/kill   kill -9 under 1,000 events/s, each once and each twice, and other rules at one of them: the model holds, and so does replay --store       2026-11-24: 300 kills, events twice: 1,470,648 records, nothing lost or doubled; 300 kills, once: found a log without a length (mended); with other rules and replay --store: short forms, 2 x 5 kills, the same
//	F-2    TestFault/power  copies of the disk's image, and a file system that is shut down at once: what was published is there, nobody repairs 2026-11-24: 200 cuts (seed 12), 396,188 events, nothing lost or doubled
//	F-3    TestFault/lying  an older store, zeros or garbage in the newest log's last block: refused, or never less said than was published 2026-11-24: older: made good from the topics; zeroed, garbled: refused
//	F-4    TestFault/full   a neighbour fills the disk to the last byte in half a second: intake stops, readiness says so, no SIGBUS, goes on by itself 2026-11-24: 7 times passed; at the speed of fallocate alone 2 of 6 ended in SIGBUS
//	F-5    TestFault/fail   every write fails, or the disk is read-only: nobody is let in, it is said, nothing is lost afterwards 2026-11-24: passed
//	F-6    TestFault/slow   12 writes a second by a control group: decided later, answers by the fail mode, the model holds 2026-11-24: passed, decisions answered after 1 to 3 s
//	F-7    TestFault/rot    one byte of any kind of file: the right answer, or a refusal that says where 2026-11-24: 24 flips passed
//	F-7    store/badger.TestFlippedBits every kind of file of the database, bit by bit every run of the suite
//	F-19   TestFault/memory 512 MiB by a control group, 2,000 events/s, 50,000 accounts: not killed, the model holds 2026-11-24: passed, 6 s
//	F-21   store/badger.TestRefused a store of a newer format is not touched every run of the suite
//	F-23   TestFault/lost   the store is gone: serve refuses and makes no empty one; one that people make anew locks who was published as locked 2026-11-24: passed
//	F-25   TestFault/key    without its master key, or with another: a clear refusal, nothing touched 2026-11-24: passed
//	F-27   TestFault/stop   SIGTERM under load: code 0 within 10 s, the model holds 2026-11-24: 6 stops passed
//	F-28   TestFault/suspend stopped for longer than the group waits: goes on, the model holds 2026-11-24: 12 s, passed
//	F-8    TestFault/broker down, half-open, slow, restarted: readiness and metrics say so, caught up with      2026-11-24: passed
//	F-9    TestFault/moved  leaders and coordinator move, a node of Apache Kafka is killed: the model holds    2026-11-24: passed
//	F-10   TestFault/storm  eight members come and go: the store's holder keeps every shard, others say so      2026-11-24: passed
//	F-11   TestFault/zombie stopped past its session: no other process takes the store, old commits are refused 2026-11-24: passed
//	F-11   detect.TestFencedInsideABatch a shard that another has claimed commits and publishes no more          every run of the suite
//	F-12   TestFault/order  three times, mixed up, an hour late, with gaps: windows and locks as a plain count says, late ones told 2026-11-24: passed, 200 seeds
//	F-13   TestFault/poison 22 kinds of bad records and a spoilt batch: dead letters or a stop that names it, the model holds 2026-11-24: passed
//	F-13   TestFault/bomb   batches that inflate to a gigabyte, promise to, or are noise: their partitions stop, memory is bounded 2026-11-24: passed, 0.4 GiB
//	F-13   detect/kafka.TestDecodeBomb             batches of every codec that inflate to more than they may are refused for little memory every run of the suite
//	F-13   detect/kafka.TestDecode                 an unknown codec and broken bodies of the known ones are named every run of the suite
//	F-13   detect/kafka.TestLZ4                    lz4 frames of every kind, cut anywhere, and past a limit      every run of the suite
//	F-13   detect/kafka.TestFetchCodecs            records of every codec come out as they went in             every run of the suite
//	F-13   detect/kafka.TestFetchTransactions      aborted records never come out, open ones wait (control batches) every run of the suite
//	F-4    store/badger.TestGuardLooksAtEachCommit room that is gone since the last look is missed at the next commit every run of the suite
//	F-7    store/history.TestOpenAnew              a damaged history is put aside and filled again             every run of the suite
//	F-14   TestFault/dead   the dead-letter topic refuses: the partition stops, says so, and goes on by itself            2026-11-24: passed
//	F-15   TestFault/clock  timestamps from 1970 to 2100 end no window, of their shard, its followers or its accounts 2026-11-24: passed
//	F-16/17 TestFault/crowd half of all is one account's, a town behind one address, a burst: nobody restricted, the lag drains 2026-11-24: passed
//	issue  TestFault/explosion every id is new: memory stays within the budget, what leaves is counted              2026-11-24: passed
//	F-18   cmd/doorward.TestAFullMailboxHoldsUpNobody a mail server that puts off holds up nobody else              every run of the suite
//	F-18   auth/notice.TestServerRefusesAnAddress what a mail server refuses is told from what it puts off         every run of the suite
//	F-26   rules.TestFault  a rule that can't be evaluated is counted, and the event goes on                       every run of the suite
//	F-26   detect.TestPanic                        a panic while an event is evaluated: that event is put away, all others are decided as without it every run of the suite
//	F-26   detect.TestPanicAhead                   the same while many are looked ahead at                       every run of the suite
//	F-26   auth/web.TestErrorsTellNothingInternal a page that panics is one answer 500, without a word from inside        every run of the suite
package faults
