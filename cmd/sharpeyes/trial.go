package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/sharpeyes/sharpeyes/configs"
)

// What a trial may take beyond what the program has mapped at its start: the
// built-in models take 0.1 GiB and half a second.
const (
	trialMemory = 3 << 30 // bytes
	trialTime   = time.Minute
)

// trialCommand is the hidden command that the program starts itself with.
const trialCommand = "try-detector"

// newTrial makes the command that opens a library and a model and computes once.
// Whatever they do, only this process suffers.
func newTrial() *cobra.Command {
	return &cobra.Command{
		Use: trialCommand + " LIBRARY", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var cfg configs.Detector
			if err := json.NewDecoder(cmd.InOrStdin()).Decode(&cfg); err != nil {
				return err
			}
			limitMemory(trialMemory)
			m, err := loadModel(cfg)
			if err != nil {
				return err
			}
			cfg.Workers = 1
			d, err := openONNXRuntime(args[0], m, cfg)
			if err != nil {
				return err
			}
			d.Close()
			return nil
		},
	}
}

// limitMemory lets this process map so many more bytes. Where that cannot be set
// the trial goes on without.
func limitMemory(more uint64) {
	statm, err := os.ReadFile("/proc/self/statm")
	var pages uint64
	if _, scan := fmt.Sscan(string(statm), &pages); err != nil || scan != nil {
		return
	}
	most := pages*uint64(os.Getpagesize()) + more
	_ = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: most, Max: most})
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// tryApart opens the library and the model in a child process and returns what
// is wrong with them, if only that the child died of them.
func tryApart(ctx context.Context, library string, cfg configs.Detector) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("ONNX Runtime: no process to try it in: %w", err)
	}
	described, err := json.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("ONNX Runtime: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	var said bytes.Buffer
	child := exec.CommandContext(limited, self, trialCommand, library)
	child.Stdin, child.Stderr = bytes.NewReader(described), &said
	child.WaitDelay = time.Second
	err = child.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fmt.Errorf("ONNX Runtime with %s does not end within %s", library, trialTime)
	case child.ProcessState != nil && child.ProcessState.ExitCode() == 1 && said.Len() > 0:
		return fmt.Errorf("%s", strings.TrimSpace(strings.TrimPrefix(said.String(), "sharpeyes: ")))
	}
	return fmt.Errorf("ONNX Runtime: %s, or the model with it, kills the process that tries it (%w): install the library that was tested: deployments/onnxruntime.sh", library, err)
}
