package outbox

// Row is one effect owed to the outside: a record to publish. ID is made from its cause, so that whoever sees it twice knows.
// The names are those of the stored form of before (parcel.go).
type Row struct {
	ID        string   `json:"id"`
	Topic     string   `json:"topic"`
	Partition int      `json:"partition"` // -1: by the key
	Key       []byte   `json:"key,omitempty"`
	Headers   []Header `json:"headers,omitempty"`
	Value     []byte   `json:"value,omitempty"`
}

// Header is one header of the record; names may repeat and values may be any bytes.
type Header struct {
	Key   string `json:"key"`
	Value []byte `json:"value,omitempty"`
}
