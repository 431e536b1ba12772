// Package geo owns where an address is and how far two places lie apart.
//
// Invariant: without a database every answer is the empty Place, never an error; the same database and address always give the same
// Place; the operator brings the database (any mmdb of cities or countries), Doorward ships none.
package geo
