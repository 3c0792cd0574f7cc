package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const rulesFile = "../../deployments/alerts.rules.yml"

var metricName = regexp.MustCompile(`sharpeyes_[a-z_]+`)

// TestRulesNameOurMetrics: every metric of the rules is one that the program
// has, by the whole name.
func TestRulesNameOurMetrics(t *testing.T) {
	rules, err := os.ReadFile(rulesFile)
	require.NoError(t, err)
	var source strings.Builder
	require.NoError(t, filepath.WalkDir("../../api", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		source.Write(b)
		return err
	}))
	// The consumer's counters have their prefix in one place.
	known := strings.ReplaceAll(source.String(), `counter("`, `counter("sharpeyes_consumer_`)
	names := metricName.FindAllString(string(rules), -1)
	require.Greater(t, len(names), 8)
	for _, name := range names {
		require.Contains(t, known, `"`+name+`"`, "no such metric")
	}
}

func TestRulesAreGood(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: run apt-get install prometheus")
	}
	out, err := exec.Command(promtool, "check", "rules", rulesFile).CombinedOutput()
	require.NoError(t, err, string(out))
}
