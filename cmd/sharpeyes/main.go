// Command sharpeyes joins village and community cameras to the people who look
// after them. This room reads flags, wires the other rooms together and waits
// for signals; it holds no logic of the way of the data.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // time zones on machines that have no table of their own

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/detect/ffmpeg"
	"github.com/sharpeyes/sharpeyes/detect/opencv"
)

// version is set by the linker (see Makefile).
var version = "unknown"

func main() {
	// A second signal ends the process at once: NotifyContext is released after
	// the first, and the default action comes back.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main for tests: it returns the exit status, 0 for success, 1 for an
// error that was printed, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var silent errSilent
	switch {
	case err == nil:
		return 0
	case errors.As(err, &silent):
		return silent.code
	}
	fmt.Fprintln(stderr, "sharpeyes:", err)
	return 1
}

// errSilent ends a command whose findings were printed already.
type errSilent struct{ code int }

func (e errSilent) Error() string { return fmt.Sprintf("exit status %d", e.code) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "sharpeyes",
		Short:         "村镇摄像机网关 / gateway for village and community cameras",
		Long:          "sharpeyes 把村镇摄像机接到值班的人。不做人脸、车牌、身份、属性、跨镜头或群体分析。\nIt joins cameras to the people who look after them: no face, plate, identity, attribute, cross-camera or group analytics.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newStandalone(), newEdge(), newCenter(), newConfig(), newCamera(), newGB28181(), newUser(), newBackup(), newRestore(), newDeadLetters(),
		newDoctor(), newBench(), newTrial(), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "版本 / version of the program and of the libraries in it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "sharpeyes %s (%s, %s)\nlibavcodec %s\nOpenCV %s\n",
				version, revision(), runtime.Version(), ffmpeg.Version(), opencv.Version())
			return err
		},
	}
}

// revision is the commit that the binary was built from, as far as the
// toolchain recorded it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "no build information"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "no revision recorded"
}
