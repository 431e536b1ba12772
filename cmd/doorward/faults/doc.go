// Package faults owns the proof that nothing is lost, doubled or opened whatever breaks: a harness that runs the real program on a real
// store against a real broker, under a seeded load with acts of people among it, does to it what the world does, and compares the history
// of what it did and read back with a reference model ([Check]) that shares no code with the engine.
//
// Invariant: a row that can't do to the system what it is about (no root, no loop device) fails and says so; it never passes.
//
// One command for all rows in their short form, and for one row in its long form:
//
//	go test -tags accept ./cmd/doorward/faults -run Fault
//	go test -tags accept ./cmd/doorward/faults -run Fault/kill -faults.kills 1000 -timeout 60m
//
// A row that fails prints the seed that makes its load and its faults again (-faults.seed). Rows run against the broker of a first run, and
// against Apache Kafka too when DOORWARD_TEST_BROKERS names it (.ci/kafka/run start).
//
// The rows, by the numbers of the fault list (reference: security.md section 6). A test holds the table to the tests that exist.
//
//	fault  test             what must hold                                                                 last result
//	F-1    TestFault/kill   kill -9 under 1,000 events/s, each once and each twice: the model holds         -
package faults
