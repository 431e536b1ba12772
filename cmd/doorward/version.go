package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"doorward/store/badger"
)

// version is set at release: go build -ldflags "-X main.version=1.0.0".
var version = "dev"

func versionCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Commit  string `json:"commit"`
				Date    string `json:"date"`
				Go      string `json:"go"`
				Format  int    `json:"format"`
			}{Version: version, Go: runtime.Version(), Format: badger.Format}
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					switch s.Key {
					case "vcs.revision":
						v.Commit = s.Value
					case "vcs.time":
						v.Date = s.Value
					}
				}
			}
			return t.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "doorward %s (commit %s, %s), %s, store format %d\n", v.Version, orUnknown(v.Commit), orUnknown(v.Date), v.Go, v.Format)
			})
		},
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
