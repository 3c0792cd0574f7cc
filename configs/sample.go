package configs

import (
	"embed"
	"fmt"
)

//go:embed edge.yaml center.yaml standalone.yaml
var samples embed.FS

// Sample returns the commented sample file of that name: "edge", "center" or
// "standalone". Each loads as it is, and shows every key of its sections with
// its default.
func Sample(name string) ([]byte, error) {
	data, err := samples.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no sample %q: there are edge, center and standalone", name)
	}
	return data, nil
}
