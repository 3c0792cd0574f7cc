package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/detect/onnx"
	"github.com/sharpeyes/sharpeyes/detect/opencv"
)

// minFree is the free disk space below which doctor warns: some days of alerts
// with pictures of a small node.
const minFree = 2 << 30

// check is one question that doctor asks. It returns what it found, or an error
// that says what to do.
type check struct {
	name string
	run  func(ctx context.Context) (string, error)
}

func newDoctor() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "体检：库、模型、Redis、磁盘、配置 / check libraries, model, Redis, disk and configuration",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bad := 0
			for _, c := range doctorChecks(path) {
				found, err := c.run(cmd.Context())
				if err != nil {
					bad++
					fmt.Fprintf(cmd.OutOrStdout(), "✗ %-14s %v\n", c.name, err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "✓ %-14s %s\n", c.name, found)
			}
			if bad > 0 {
				return errSilent{1}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "also check this configuration file and its data folder")
	return cmd
}

func doctorChecks(path string) []check {
	checks := []check{
		{"libavcodec", func(context.Context) (string, error) { return ffmpeg.Version(), nil }},
		{"opencv", func(context.Context) (string, error) { return opencv.Version(), nil }},
		{"onnxruntime", func(context.Context) (string, error) { return checkONNXRuntime(path) }},
		{"model", func(ctx context.Context) (string, error) { return checkModel(ctx, path) }},
		{"redis-server", checkRedis},
	}
	if path == "" {
		return checks
	}
	return append(checks,
		check{"configuration", func(context.Context) (string, error) {
			if _, _, err := loadConfig(path); err != nil {
				return "", fmt.Errorf("%s has problems; see: sharpeyes config check %s", path, path)
			}
			return path, nil
		}},
		check{"data folder", func(context.Context) (string, error) {
			cfg, _, err := loadConfig(path)
			if err != nil {
				return "", fmt.Errorf("not known while the configuration has problems")
			}
			return checkDisk(cfg.DataDir)
		}})
}

// checkONNXRuntime says where the library is, that of the configuration where it
// names one; that there is none otherwise is no fault.
func checkONNXRuntime(config string) (string, error) {
	cfg, err := doctorDetector(config)
	if err != nil {
		return "", err
	}
	library := ""
	if cfg != nil {
		library = cfg.Library
	}
	path, err := onnx.Find(library)
	switch {
	case errors.Is(err, onnx.ErrNotFound):
		return "not installed, OpenCV computes the models three times as slowly; to install it: deployments/onnxruntime.sh", nil
	case err != nil:
		return "", err
	case onnx.Pinned(path):
		return path + ", as tested", nil
	}
	return path + ", another one than was tested", nil
}

// doctorDetector is the detector of the configuration, the default one without a
// configuration, and nil where there is no edge in it.
func doctorDetector(path string) (*configs.Detector, error) {
	if path == "" {
		return &configs.Detector{Runtime: configs.RuntimeAuto, Threads: 1}, nil
	}
	cfg, _, err := loadConfig(path)
	switch {
	case err != nil:
		return nil, errors.New("not known while the configuration has problems")
	case cfg.Edge == nil:
		return nil, nil
	}
	return &cfg.Edge.Detector, nil
}

// checkModel loads the model and the runtime of the configuration, or the default
// ones, which also compares the output of a built-in model with the stored
// reference.
func checkModel(ctx context.Context, path string) (string, error) {
	cfg, err := doctorDetector(path)
	if err != nil {
		return "", err
	}
	if cfg == nil {
		return "none: there is no edge in the configuration", nil
	}
	start := time.Now()
	d, err := newDetector(ctx, *cfg)
	if err != nil {
		return "", err
	}
	d.Close()
	note := ""
	if d.passed != nil && !errors.Is(d.passed, onnx.ErrNotFound) {
		note = fmt.Sprintf("; not by ONNX Runtime: %v", d.passed)
	}
	name, judged := cmp.Or(cfg.Model, configs.ModelBuiltIn), ", numbers as they should be"
	if cfg.OwnModel() {
		judged = "" // there is no reference of its numbers
	}
	return fmt.Sprintf("%s, computed by %s%s (%d ms)%s", name, d.runtime, judged, time.Since(start).Milliseconds(), note), nil
}

func checkRedis(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("not found; standalone needs it: apt-get install redis-server")
	}
	return strings.TrimSpace(string(out)), nil
}

// checkDisk asks the nearest folder that exists how much room there is.
func checkDisk(dir string) (string, error) {
	at := dir
	for {
		if _, err := os.Stat(at); err == nil {
			break
		}
		parent := filepath.Dir(at)
		if parent == at {
			return "", fmt.Errorf("%s does not exist", dir)
		}
		at = parent
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(at, &fs); err != nil {
		return "", fmt.Errorf("%s: %w", at, err)
	}
	if err := unix.Access(at, unix.W_OK); err != nil {
		return "", fmt.Errorf("%s may not be written by this user", at)
	}
	free := int64(fs.Bavail) * fs.Bsize
	if free < minFree {
		return "", fmt.Errorf("%s: only %d MiB free; alerts and pictures need room", at, free>>20)
	}
	return fmt.Sprintf("%s, %d GiB free", dir, free>>30), nil
}
