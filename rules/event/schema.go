package event

import (
	"embed"
	"io/fs"
)

//go:embed schema/*.json
var schemas embed.FS

// Schemas returns the JSON Schemas (2020-12) of the contract: event.json for a whole event in structured mode, common.json for data of any
// type, and one file for the data of each row of types. They refer to one another by file name.
//
// They say what the decoder holds to, but for what a schema has no words for, where the decoder is stricter: keys that stand twice, 64 KiB,
// depth 8, ids counted in bytes (a schema counts characters), integers written as 2500.0 or 1e3, a charset beside application/json, and the
// characters that no account id may hold. Formats (date-time, ipv4, ipv6) must be asserted, not only annotated.
func Schemas() fs.FS {
	dir, err := fs.Sub(schemas, "schema")
	if err != nil {
		panic("event: schema is a valid path, which is all that Sub asks: " + err.Error())
	}
	return dir
}
