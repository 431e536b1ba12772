package badger

// WithSegments is cfg with bulk segments of so many bytes.
func WithSegments(cfg Config, bytes int64) Config {
	cfg.segment = bytes
	return cfg
}
