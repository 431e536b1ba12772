package notice

import (
	"errors"

	gomail "github.com/wneessen/go-mail"
)

// ForGood reports whether an error of Send says that the server will never take this mail: a 5xx answer (RFC 5321, 4.2.1). All other errors
// may pass.
func ForGood(err error) bool {
	var refused *gomail.SendError
	return errors.As(err, &refused) && refused.ErrorCode() >= 500
}
