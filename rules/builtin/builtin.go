// Package builtin owns the rules that Doorward ships: YAML files to read like a book, each rule beside the scenarios that show it.
//
// Invariant: every rule has a scenario in which it fires (RULE.fires.txtar) and a near miss in which it stays quiet (RULE.quiet.txtar); no
// rule locks or limits for wrong passwords or geography alone.
package builtin

import (
	"embed"
	"fmt"

	"doorward/rules"
)

// FS holds the rules (*.yaml) and their scenarios (*.txtar).
//
//go:embed *.yaml *.txtar
var FS embed.FS

// Load compiles the shipped rules.
func Load() (*rules.Set, error) {
	set, err := rules.Load(FS)
	if err != nil {
		return nil, fmt.Errorf("load built-in rules: %w", err)
	}
	return set, nil
}
