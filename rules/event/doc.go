// Package event owns what a platform says happened: the Event, its strict decoder and its JSON Schemas (EVENTS.md).
//
// Invariant: an Event that Decode returns keeps every limit of the contract, its account id is canonical, its time lies within
// [-24 h, +5 min] of its arrival (else the arrival is its time and Flagged says so), and the same bytes with the same arrival always give
// the same Event. Whatever can't be taken is an *Error with a stable code, for the dead-letter topic.
package event
