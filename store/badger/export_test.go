package badger

import badgerdb "github.com/dgraph-io/badger/v4"

// WithSegments is cfg with bulk segments of so many bytes.
func WithSegments(cfg Config, bytes int64) Config {
	cfg.segment = bytes
	return cfg
}

// WithMigration is cfg with at most so many records in a batch of a migration, and after called behind each.
func WithMigration(cfg Config, keys int, after func(n int) error) Config {
	cfg.batch = migration{keys: keys, after: after}
	return cfg
}

// InlineBulk counts the large values of the bulk kinds that lie in Badger, and those that lie in segments.
func (d *DB) InlineBulk() (inline, segments int, err error) {
	err = d.b.View(func(txn *badgerdb.Txn) error { return eachRef(txn, func([]byte, ref) { segments++ }) })
	if err != nil {
		return 0, 0, err
	}
	puts, _, err := d.inlineBulk(nil, &migration{keys: 1 << 30, bytes: 1 << 30})
	return len(puts), segments, err
}
