package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// stage says which functions' time belongs to a part of an event's way. A sample goes to the stage of the innermost function that any stage
// names; but where a stage with inside finds its function anywhere on the stack, everything below belongs to it.
type stage struct {
	name   string
	inside []string // parts of names: these functions and all they call
	own    []string // beginnings of names: these functions and what they call of packages that no stage names
}

// engineStages are in the order they are printed. What no stage names is "other": the scheduler, timers, the bench's own reports.
var engineStages = []stage{
	{"checkpoint", []string{"detect.(*Shard).putPage", "detect.(*Shard).findUseless", "window.(*Memory).Page", "detect.(*checkpoint"}, nil},
	{"store", []string{"badger.(*DB).Commit"}, []string{"github.com/dgraph-io/", "doorward/store/badger.", "doorward/store."}},
	{"publish", []string{"store/outbox.(*Relay)", "main.(*house).messages", "kafka.(*Client).Publish"}, []string{"github.com/segmentio/kafka-go"}},
	{"fetch", nil, []string{"doorward/detect/kafka."}},
	{"decode", nil, []string{"doorward/rules/event.", "main.decodeRecord"}},
	{"commit", []string{"window.(*Memory).Dirty", "detect.(*Shard).putDelta", "detect.(*Shard).commit", "detect.(*Shard).begin"}, []string{"doorward/store/"}},
	{"windows", nil, []string{"doorward/rules/window.", "doorward/rules/geo."}},
	{"rules", nil, []string{"doorward/rules.", "github.com/expr-lang/"}},
	{"accounts", nil, []string{"doorward/auth.", "doorward/detect.(*accounts)", "doorward/detect.(*seen)", "doorward/detect.(*Shard).readAccounts"}},
	{"loop", nil, []string{"doorward/detect"}},
	{"history", []string{"main.(*house).tailHistory"}, []string{"doorward/store/history."}},
	{"collector", nil, []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge"}},
}

const otherStage = "other"

// stageOf is the stage, of some, of a stack, innermost function first.
func stageOf(stages []stage, stack []string) string {
	for _, s := range stages {
		for _, name := range stack {
			for _, part := range s.inside {
				if strings.Contains(name, part) {
					return s.name
				}
			}
		}
	}
	for _, name := range stack {
		for _, s := range stages {
			for _, start := range s.own {
				if strings.HasPrefix(name, start) {
					return s.name
				}
			}
		}
	}
	return otherStage
}

// stagesOf is each stage's share of a CPU profile's time.
func stagesOf(profile []byte, stages []stage) (map[string]float64, error) {
	p, err := readProfile(profile)
	if err != nil {
		return nil, fmt.Errorf("read the CPU profile: %w", err)
	}
	shares, total := map[string]float64{}, 0.0
	for _, s := range p.samples {
		if len(s.values) == 0 {
			continue
		}
		var stack []string
		for _, l := range s.locations {
			for _, f := range p.locations[l] {
				stack = append(stack, p.text(p.functions[f]))
			}
		}
		n := float64(s.values[len(s.values)-1]) // the last value is nanoseconds
		shares[stageOf(stages, stack)] += n
		total += n
	}
	for name := range shares {
		shares[name] /= total
	}
	return shares, nil
}

// cpuProfile is what is needed of a profile (profile.proto of github.com/google/pprof).
type cpuProfile struct {
	samples   []profileSample
	locations map[uint64][]uint64 // functions of an address, the innermost of those inlined first
	functions map[uint64]uint64   // name, an index of strings
	strings   []string
}

type profileSample struct{ locations, values []uint64 }

func (p *cpuProfile) text(i uint64) string {
	if i < uint64(len(p.strings)) {
		return p.strings[i]
	}
	return ""
}

func readProfile(b []byte) (*cpuProfile, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if b, err = io.ReadAll(z); err != nil {
		return nil, err
	}
	p := &cpuProfile{locations: map[uint64][]uint64{}, functions: map[uint64]uint64{}}
	err = fields(b, func(number int, _ uint64, body []byte) error {
		switch number {
		case 2:
			var s profileSample
			p.samples = append(p.samples, s)
			return p.samples[len(p.samples)-1].read(body)
		case 4:
			return p.location(body)
		case 5:
			var id, name uint64
			err := fields(body, func(number int, v uint64, _ []byte) error {
				switch number {
				case 1:
					id = v
				case 2:
					name = v
				}
				return nil
			})
			p.functions[id] = name
			return err
		case 6:
			p.strings = append(p.strings, string(body))
		}
		return nil
	})
	return p, err
}

func (s *profileSample) read(b []byte) error {
	return fields(b, func(number int, v uint64, body []byte) error {
		into := &s.locations
		if number == 2 {
			into = &s.values
		} else if number != 1 {
			return nil
		}
		if body == nil {
			*into = append(*into, v)
			return nil
		}
		for len(body) > 0 { // packed
			v, n := binary.Uvarint(body)
			if n <= 0 {
				return errProfile
			}
			*into, body = append(*into, v), body[n:]
		}
		return nil
	})
}

func (p *cpuProfile) location(b []byte) error {
	var id uint64
	var functions []uint64
	err := fields(b, func(number int, v uint64, body []byte) error {
		switch number {
		case 1:
			id = v
		case 4:
			return fields(body, func(number int, v uint64, _ []byte) error {
				if number == 1 {
					functions = append(functions, v)
				}
				return nil
			})
		}
		return nil
	})
	p.locations[id] = functions
	return err
}

var errProfile = errors.New("malformed")

// fields calls f with each field of a protocol buffer's message: a number for varints, bytes for what has a length.
func fields(b []byte, f func(number int, v uint64, body []byte) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errProfile
		}
		b = b[n:]
		v, body := uint64(0), []byte(nil)
		switch tag & 7 {
		case 0:
			if v, n = binary.Uvarint(b); n <= 0 {
				return errProfile
			}
			b = b[n:]
		case 2:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return errProfile
			}
			body, b = b[n:n+int(size):n+int(size)], b[n+int(size):]
		default:
			return errProfile // a profile has no other
		}
		if err := f(int(tag>>3), v, body); err != nil {
			return err
		}
	}
	return nil
}
