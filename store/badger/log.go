package badger

import (
	"fmt"
	"log/slog"
	"strings"
)

// quiet passes Badger's errors and warnings on; what it says when all is well interests nobody who runs a door.
type quiet struct{ log *slog.Logger }

func (q quiet) Errorf(format string, args ...any)   { q.log.Error("badger: " + line(format, args)) }
func (q quiet) Warningf(format string, args ...any) { q.log.Warn("badger: " + line(format, args)) }
func (q quiet) Infof(string, ...any)                {}
func (q quiet) Debugf(string, ...any)               {}

func line(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
