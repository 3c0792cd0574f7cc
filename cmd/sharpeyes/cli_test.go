package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

// cli runs the program as a shell would and returns status, stdout and stderr.
func cli(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

const goodConfig = `
node: n1
data_dir: data
redis: { addresses: ["127.0.0.1:6379"] }
edge:
  cameras:
    - { id: cam-1, name: 一, url: "rtsp://192.0.2.1/a", division: "360921100200", legal_basis: A9, purpose: p }
    - { id: cam-2, name: 二, url: "rtsp://192.0.2.2/a", division: "360921100201", legal_basis: A9, purpose: p, username: u, password: { file: secret } }
`

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "secret"), []byte("geheim-77\n"), 0o600))
	return path
}

func TestConfigCheckReportsEverythingAtOnce(t *testing.T) {
	path := writeFile(t, "bad.yaml", strings.NewReplacer("cam-2", "cam-1", "360921100200", "369999999999", "node: n1", "nodes: n1").Replace(goodConfig))
	code, stdout, stderr := cli(t, "config", "check", path)
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	for _, want := range []string{"bad.yaml:2:1", "nodes", "cam-1", "369999999999"} {
		require.Contains(t, stderr, want)
	}
	require.GreaterOrEqual(t, strings.Count(strings.TrimSpace(stderr), "\n"), 2, "one line a problem")
}

func TestConfigCheckAndPrint(t *testing.T) {
	path := writeFile(t, "good.yaml", goodConfig)
	code, stdout, stderr := cli(t, "config", "check", path)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "2 cameras")
	code, stdout, stderr = cli(t, "config", "print", path)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "timeout: 10s", "defaults are shown")
	require.NotContains(t, stdout+stderr, "geheim")
}

func TestConfigPlan(t *testing.T) {
	old := writeFile(t, "old.yaml", goodConfig)
	next := writeFile(t, "new.yaml", strings.NewReplacer("name: 一", "name: 壹", "cam-2", "cam-3").Replace(goodConfig))
	code, stdout, stderr := cli(t, "config", "plan", "--running", old, next)
	require.Equal(t, 0, code, stderr)
	for _, want := range []string{"cam-1", "cam-2", "cam-3"} {
		require.Contains(t, stdout, want)
	}
}

// Without --running the plan is against the copy that the program keeps.
func TestConfigPlanAgainstWhatRuns(t *testing.T) {
	data := t.TempDir()
	text := strings.Replace(goodConfig, "data_dir: data", "data_dir: "+data, 1)
	path := writeFile(t, "edge.yaml", text)
	code, stdout, stderr := cli(t, "config", "plan", path)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stderr, "all is new")
	require.Contains(t, stdout, "cam-2")

	p := &process{path: path, cfg: &configs.Config{DataDir: data}, log: newLogger(&bytes.Buffer{}, configs.Log{})}
	p.keepRunning()
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(text, "name: 二", "name: 贰", 1)), 0o600))
	code, stdout, stderr = cli(t, "config", "plan", path)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "cam-2")
	require.NotContains(t, stdout, "cam-1")
}

func TestConfigSchemaIsJSON(t *testing.T) {
	code, stdout, _ := cli(t, "config", "schema")
	require.Equal(t, 0, code)
	require.True(t, json.Valid([]byte(stdout)))
}

func TestSampleConfigurationsAreCorrect(t *testing.T) {
	for _, name := range []string{"edge", "center", "standalone"} {
		code, stdout, stderr := cli(t, "config", "sample", name)
		require.Equal(t, 0, code, stderr)
		require.NotEmpty(t, stdout)
	}
	code, _, stderr := cli(t, "config", "check", filepath.Join("..", "..", "configs", "demo.yaml"))
	require.Equal(t, 0, code, stderr)
}

func TestProbeSaysWhyNot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())

	t.Run("refused", func(t *testing.T) {
		code, stdout, _ := cli(t, "camera", "probe", "--json", "--for", "1s", "rtsp://"+closed+"/x")
		require.Equal(t, 1, code)
		require.Contains(t, stdout, `"reason": "refused"`)
	})
	t.Run("password in the address", func(t *testing.T) {
		code, _, stderr := cli(t, "camera", "probe", "rtsp://admin:hunter2@"+closed+"/x")
		require.Equal(t, 1, code)
		require.NotContains(t, stderr, "hunter2")
		require.Contains(t, stderr, "--password-env")
	})
	t.Run("not an address", func(t *testing.T) {
		code, _, stderr := cli(t, "camera", "probe", "http://192.0.2.1")
		require.Equal(t, 1, code)
		require.Contains(t, stderr, "rtsp://host")
	})
}

func TestServeClipsRefusesAnEmptyFolder(t *testing.T) {
	p := &process{log: newLogger(&bytes.Buffer{}, configs.Log{})}
	require.ErrorContains(t, p.serveClips(t.TempDir(), "127.0.0.1:0"), "no .h264 or .h265 file")
}

func TestUserCommands(t *testing.T) {
	path := writeFile(t, "center.yaml", "data_dir: "+t.TempDir()+"\nredis: { addresses: [\"127.0.0.1:6379\"] }\ncenter: {}\n")
	code, stdout, stderr := cli(t, "user", "add", "wang", "--display", "王岗", "--unit", "视频室", "-c", path)
	require.Equal(t, 0, code, stderr)
	first := strings.TrimSpace(stdout[strings.LastIndexByte(stdout, ':')+1:])
	require.NotEmpty(t, first)
	code, stdout, stderr = cli(t, "user", "password", "wang", "-c", path)
	require.Equal(t, 0, code, stderr)
	require.NotContains(t, stdout, first)
	code, stdout, stderr = cli(t, "user", "list", "-c", path)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "视频室")
	code, _, stderr = cli(t, "user", "password", "nobody", "-c", path)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "nobody")
}

func TestVersionNamesTheLibraries(t *testing.T) {
	code, stdout, _ := cli(t, "version")
	require.Equal(t, 0, code)
	require.Contains(t, stdout, "libavcodec")
	require.Contains(t, stdout, "OpenCV")
}

func TestMedianAndSummary(t *testing.T) {
	require.InDelta(t, 2.0, median([]float64{3, 1, 2}), 1e-9)
	require.InDelta(t, 2.5, median([]float64{4, 1, 2, 3}), 1e-9)
	var took []time.Duration
	for i := range 200 {
		took = append(took, time.Duration(200-i)*time.Millisecond)
	}
	s := summarize(took, 0.5)
	require.Equal(t, []int64{101, 191, 199, 200}, []int64{s.P50, s.P95, s.P99, s.Max})
}

func TestMetricShapes(t *testing.T) {
	page := "# TYPE sharpeyes_a_total counter\nsharpeyes_a_total{camera=\"x\"} 1\n# TYPE sharpeyes_b_seconds histogram\nsharpeyes_b_seconds_bucket{le=\"1\"} 0\nsharpeyes_b_seconds_sum 0\n# TYPE go_x gauge\ngo_x 1\n"
	require.Equal(t, "sharpeyes_a_total counter {camera}\nsharpeyes_b_seconds histogram {}\n", metricShapes(page))
}

func TestBackupAndRestoreCommands(t *testing.T) {
	old := writeFile(t, "center.yaml", "node: c\nredis: {addresses: [\"127.0.0.1:6379\"]}\ndata_dir: "+t.TempDir()+"\ncenter: {}\n")
	code, _, stderr := cli(t, "user", "add", "li", "-c", old, "--unit", "视频室", "--display", "李")
	require.Equal(t, 0, code, stderr)
	file := filepath.Join(t.TempDir(), "backup.tar.gz")
	code, stdout, stderr := cli(t, "backup", file, "-c", old)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "0 张图片")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	fresh := writeFile(t, "center.yaml", "node: c\nredis: {addresses: [\"127.0.0.1:6379\"]}\ndata_dir: "+t.TempDir()+"\ncenter: {}\n")
	code, stdout, stderr = cli(t, "restore", file, "-c", fresh)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "登记 register 0 行")
	code, stdout, _ = cli(t, "user", "list", "-c", fresh)
	require.Equal(t, 0, code)
	require.Contains(t, stdout, "视频室")
	code, _, stderr = cli(t, "restore", file, "-c", fresh)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "center.database")
	code, _, stderr = cli(t, "backup", filepath.Join(t.TempDir(), "no", "such", "x"), "-c", old)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "may write")
}
