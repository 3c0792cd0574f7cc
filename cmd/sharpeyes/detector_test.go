//go:build cgo

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/model/modeltest"
)

// TestMain lets the test binary answer when the program starts itself to try a
// detector, and play an edge under load.
func TestMain(m *testing.M) {
	if os.Getenv(loadEnv) != "" {
		os.Exit(playLoad())
	}
	if len(os.Args) > 1 && os.Args[1] == trialCommand {
		main()
	}
	os.Exit(m.Run())
}

func modelFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// buildLibrary compiles C into a shared library.
func buildLibrary(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	library := filepath.Join(dir, "libonnxruntime.so")
	cmd := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-x", "c", "-o", library, "-")
	cmd.Stdin = strings.NewReader(source)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return library
}

// installed returns the real library, or skips the test and says how to get it.
func installed(t *testing.T) string {
	t.Helper()
	path := filepath.Join("..", "..", "bin", "libonnxruntime.so")
	if _, err := os.Stat(path); err != nil {
		t.Skip("NOT TESTED: ONNX Runtime is not installed: deployments/onnxruntime.sh")
	}
	return path
}

// A library that is none, is too old, or kills the process that opens it: OpenCV
// does the work and the reason is known; asked for by name, it is a refusal.
func TestLibrariesThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		name    string
		library string
		says    string
	}{
		{"a text", modelFile(t, "libonnxruntime.so", []byte("<html>not found</html>")), "cannot be used"},
		{"another library", buildLibrary(t, "int x;"), "OrtGetApiBase"},
		{"one of an older version", buildLibrary(t, `
			static const void *api(unsigned v) { return 0; }
			static const char *version(void) { return "1.2.0"; }
			static const struct { const void *(*a)(unsigned); const char *(*v)(void); } base = {api, version};
			const void *OrtGetApiBase(void) { return &base; }`), "ONNX Runtime 1.24 or newer"},
		{"one that aborts", buildLibrary(t, `#include <stdlib.h>
			__attribute__((constructor)) static void end(void) { abort(); }`), "kills the process that tries it"},
		{"one that leaves", buildLibrary(t, `#include <unistd.h>
			__attribute__((constructor)) static void end(void) { _exit(3); }`), "kills the process that tries it"},
		{"none", "libnone.so", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := newDetector(t.Context(), configs.Detector{Model: configs.ModelLight, Runtime: configs.RuntimeAuto, Library: c.library})
			require.NoError(t, err)
			defer d.Close()
			require.Contains(t, d.runtime, "OpenCV")
			require.ErrorContains(t, d.passed, c.says)
			_, err = newDetector(t.Context(), configs.Detector{Model: configs.ModelLight, Runtime: configs.RuntimeONNXRuntime, Library: c.library})
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "edge.detector.runtime is onnxruntime")
		})
	}
}

// Each model in each runtime, as configured.
func TestDetectorsAsConfigured(t *testing.T) {
	library := installed(t)
	labels := modelFile(t, "labels.txt", []byte("van=truck\nperson\n\n"))
	for _, c := range []struct {
		name string
		cfg  configs.Detector
	}{
		{"built in", configs.Detector{}},
		{"light", configs.Detector{Model: configs.ModelLight, Workers: 2}},
		{"own nanodet", configs.Detector{Model: modelFile(t, "m.onnx", modeltest.NanoDet())}},
		{"own yolox", configs.Detector{Model: modelFile(t, "m.onnx", modeltest.YOLOX(3)), Head: "yolox", LabelsFile: labels}},
	} {
		for _, runtime := range []string{configs.RuntimeAuto, configs.RuntimeONNXRuntime, configs.RuntimeOpenCV} {
			t.Run(c.name+" "+runtime, func(t *testing.T) {
				c.cfg.Runtime, c.cfg.Library = runtime, library
				d, err := newDetector(t.Context(), c.cfg)
				require.NoError(t, err)
				defer d.Close()
				require.NoError(t, d.passed)
				require.Equal(t, runtime == configs.RuntimeOpenCV, !strings.HasPrefix(d.runtime, "ONNX Runtime 1."))
				require.Equal(t, max(c.cfg.Workers, 1), d.Workers())
				require.Implements(t, (*detect.Detector)(nil), d)
			})
		}
	}
}

// What is wrong with an own model is said, whichever runtime it is for.
func TestOwnModelsRefused(t *testing.T) {
	library := installed(t)
	damaged := bytes.ReplaceAll(modeltest.NanoDet(), []byte("LeakyRelu"), []byte("LeakyRelx"))
	for _, runtime := range []string{configs.RuntimeAuto, configs.RuntimeONNXRuntime, configs.RuntimeOpenCV} {
		for name, c := range map[string]struct {
			cfg  configs.Detector
			says string
		}{
			"an operator that nobody knows": {configs.Detector{Model: modelFile(t, "m.onnx", damaged)}, "LeakyRelx"},
			"another head":                  {configs.Detector{Model: modelFile(t, "m.onnx", modeltest.NanoDet()), Head: "yolox"}, "not YOLOX's head"},
			"no model":                      {configs.Detector{Model: "none.onnx"}, "edge.detector.model"},
			"no labels":                     {configs.Detector{Model: modelFile(t, "m.onnx", modeltest.NanoDet()), LabelsFile: "none.txt"}, "edge.detector.labels_file"},
			"labels of nothing":             {configs.Detector{Model: modelFile(t, "m.onnx", modeltest.NanoDet()), Labels: []string{"face"}}, "none of the 1 labels"},
		} {
			t.Run(name+" "+runtime, func(t *testing.T) {
				c.cfg.Runtime, c.cfg.Library = runtime, library
				_, err := newDetector(t.Context(), c.cfg)
				require.ErrorContains(t, err, c.says)
			})
		}
	}
}

func TestDoctorNamesTheRuntime(t *testing.T) {
	_, stdout, _ := cli(t, "doctor")
	require.Regexp(t, `✓ model\s+builtin, computed by (gocv|ONNX Runtime) .*numbers as they should be`, stdout)
	require.Regexp(t, `✓ onnxruntime\s+\S`, stdout)

	// The library and the model of the configuration, where there is one.
	own := modelFile(t, "m.onnx", modeltest.NanoDet())
	_, stdout, _ = cli(t, "doctor", "-c", writeFile(t, "edge.yaml", "redis: { addresses: [\"127.0.0.1:6379\"] }\nedge: { detector: { model: "+own+", onnxruntime_library: secret } }\n"))
	require.Regexp(t, `✓ onnxruntime\s+\S+/secret, another one than was tested`, stdout)
	require.Regexp(t, `✓ model\s+\S+m.onnx, computed by gocv .*\d ms\); not by ONNX Runtime`, stdout)
	require.NotContains(t, stdout, "numbers as they should be")
	_, stdout, _ = cli(t, "doctor", "-c", writeFile(t, "center.yaml", "redis: { addresses: [\"127.0.0.1:6379\"] }\ncenter: {}\n"))
	require.Contains(t, stdout, "there is no edge in the configuration")
}
