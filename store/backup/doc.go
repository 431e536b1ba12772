// Package backup owns the form of a backup: every record of a store as of one moment, sealed with age.
//
// Invariant: a backup that was cut, altered, or sealed for somebody else is refused, and a store is made of a whole one only. It is written and
// read as a stream, so its size is bounded by the disk alone.
//
// Inside the seal:
//
//	doorward backup 1\n
//	header, a line of JSON
//	records, keys ascending: uvarint length of the key (1 to 4096), uvarint length of the value (up to 1 MiB), key, value
//	a zero byte
//	trailer, a line of JSON: how many records, how many bytes of keys and values, SHA-256 of everything before the trailer
//
// age would notice a cut by itself; the trailer says it once more, without trust in the seal, and lets two backups be compared.
//
// The records are those of store.Engine: how the engine lays them out on disk, and its own bookkeeping, are not part of a backup. The master key
// is not in the store and so never in a backup: what is sealed under it stays sealed, and a backup without that key opens no store.
package backup
