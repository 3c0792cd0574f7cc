// Package onnx computes detection models with ONNX Runtime, whose library is not
// linked but opened when it is there: it is three times as fast as OpenCV's DNN
// module and in no Debian release. What a model's input and output mean is
// detect/model's. The C lies in github.com/yalue/onnxruntime_go; no type of it
// leaves this room.
//
// A library runs code as soon as it is opened, and ONNX Runtime has read more
// hostile files than we have: who opens a library that is not the pinned one, or a
// model that is not built in, does it in a child process first.
//
// Built without cgo, the same functions answer detect.ErrNoCgo.
package onnx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// ErrNotFound is returned by Find when there is no library anywhere.
var ErrNotFound = errors.New("the library of ONNX Runtime (libonnxruntime.so) was not found; deployments/onnxruntime.sh installs it")

// pinnedSum is the SHA-256 of the library that deployments/onnxruntime.sh
// installs: ONNX Runtime 1.28.2 for Linux on x86-64.
const pinnedSum = "4b3607aebd1784b26b6f9b20e4bd974c7ab8287043e4d095cb7d2cb40b5e566e"

// Find returns the path of the library: the configured one if there is one, else
// the first that exists beside the program and in the system's folders. It opens
// nothing. It returns ErrNotFound, or says that the configured file is not there.
func Find(configured string) (string, error) {
	if configured != "" {
		if err := isFile(configured); err != nil {
			return "", fmt.Errorf("detector.onnxruntime_library: %w", err)
		}
		return configured, nil
	}
	var beside []string
	if self, err := os.Executable(); err == nil {
		beside = append(beside, filepath.Dir(self))
	}
	return findIn(append(beside, systemFolders()...))
}

func findIn(folders []string) (string, error) {
	for _, dir := range folders {
		for _, name := range []string{"libonnxruntime.so", "libonnxruntime.so.1"} {
			if path := filepath.Join(dir, name); isFile(path) == nil {
				return path, nil
			}
		}
	}
	return "", ErrNotFound
}

// systemFolders are where Linux distributions and installers by hand put
// libraries.
func systemFolders() []string {
	triple := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	folders := []string{"/usr/local/lib", "/opt/onnxruntime/lib"}
	if triple != "" {
		folders = append(folders, "/usr/local/lib/"+triple, "/usr/lib/"+triple, "/lib/"+triple)
	}
	return append(folders, "/usr/lib64", "/usr/lib")
}

func isFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	return err
}

// Pinned says whether the file is the very library that the program was tested
// with. It reads all of it, which takes a tenth of a second.
func Pinned(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false
	}
	return hex.EncodeToString(h.Sum(nil)) == pinnedSum
}
