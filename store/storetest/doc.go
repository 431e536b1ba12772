// Package storetest owns what every engine must pass (Run), and the faults that the world adds (Faulty).
//
// Invariant: it knows the contract of package store and nothing of any engine; only Open, which other packages' tests use, names one.
package storetest
