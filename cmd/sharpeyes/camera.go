package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

func newCamera() *cobra.Command {
	cmd := &cobra.Command{Use: "camera", Short: "摄像机工具 / tools for one camera"}
	cmd.AddCommand(newCameraProbe())
	return cmd
}

// probeFlags are the flags of `camera probe`.
type probeFlags struct {
	username, passwordEnv, passwordFile string
	transport, caFile, fingerprint      string
	seconds                             time.Duration
	json                                bool
}

func newCameraProbe() *cobra.Command {
	var f probeFlags
	cmd := &cobra.Command{
		Use:   "probe URL",
		Short: "摄像机实际送出什么，或者为什么不通 / what a camera really sends, or why not",
		Example: "  sharpeyes camera probe rtsp://192.0.2.7/stream1 --username admin            (asks for the password)\n" +
			"  CAM=… sharpeyes camera probe rtsp://192.0.2.7/stream1 --username admin --password-env CAM",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return probe(cmd, args[0], f) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.username, "username", "u", "", "user name on the camera")
	fl.StringVar(&f.passwordEnv, "password-env", "", "environment variable that holds the password; without it and --password-file it is asked for")
	fl.StringVar(&f.passwordFile, "password-file", "", "file that holds the password")
	fl.StringVar(&f.transport, "transport", "auto", "auto, tcp or udp")
	fl.StringVar(&f.caFile, "ca-file", "", "PEM file of the authority that signed the camera's certificate")
	fl.StringVar(&f.fingerprint, "fingerprint", "", "SHA-256 of the camera's certificate, in hex")
	fl.DurationVarP(&f.seconds, "for", "d", 6*time.Second, "how long to watch the stream")
	fl.BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

func probe(cmd *cobra.Command, address string, f probeFlags) error {
	cam, err := probeCamera(cmd, address, f)
	if err != nil {
		return err
	}
	if !f.json {
		fmt.Fprintf(cmd.ErrOrStderr(), "连接并观察 %s / connecting, watching for %s …\n", configs.Mask(cam.URL), f.seconds)
	}
	result, err := rtsp.Probe(cmd.Context(), cam, f.seconds)
	if f.json {
		return printProbeJSON(cmd, result, err)
	}
	if result != nil {
		fmt.Fprintln(cmd.OutOrStdout(), result)
	}
	return err
}

// printProbeJSON prints one object, with the fault in it when there is one.
func printProbeJSON(cmd *cobra.Command, result *rtsp.ProbeResult, err error) error {
	out := struct {
		Result *rtsp.ProbeResult `json:"result,omitempty"`
		Reason ingest.Reason     `json:"reason,omitempty"`
		Error  string            `json:"error,omitempty"`
	}{Result: result}
	if err != nil {
		out.Reason, out.Error = ingest.ReasonOf(err), err.Error()
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	if e := enc.Encode(out); e != nil {
		return e
	}
	if err != nil {
		return errSilent{1}
	}
	return nil
}

// probeCamera makes a camera record of what was given on the command line. A
// password in the address is refused: it would stay in the shell's history.
func probeCamera(cmd *cobra.Command, address string, f probeFlags) (configs.Camera, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "rtsp" && u.Scheme != "rtsps") {
		return configs.Camera{}, errors.New("the address must look like rtsp://host:554/path or rtsps://host:322/path")
	}
	if _, has := u.User.Password(); has {
		return configs.Camera{}, errors.New("leave user and password out of the address; use --username and answer the question, or --password-env")
	}
	if name := u.User.Username(); name != "" && f.username == "" {
		f.username = name
	}
	u.User = nil
	password, err := probePassword(cmd, f)
	if err != nil {
		return configs.Camera{}, err
	}
	cam := configs.Camera{
		ID: "probe", Name: "probe", URL: u.String(), Username: f.username, Password: configs.SecretValue(password),
		TLS:      configs.CameraTLS{CAFile: f.caFile, Fingerprint: f.fingerprint},
		Settings: configs.Stream{Transport: f.transport},
	}
	return cam.Effective(configs.Stream{}), nil
}

func probePassword(cmd *cobra.Command, f probeFlags) (string, error) {
	switch {
	case f.passwordEnv != "":
		v, ok := os.LookupEnv(f.passwordEnv)
		if !ok {
			return "", fmt.Errorf("the environment variable %s is not set", f.passwordEnv)
		}
		return v, nil
	case f.passwordFile != "":
		b, err := os.ReadFile(f.passwordFile)
		return strings.TrimRight(string(b), "\r\n"), err
	case f.username == "":
		return "", nil
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return "", errors.New("no terminal to ask for the password: use --password-env or --password-file")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s 的密码 / password: ", f.username)
	b, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(cmd.ErrOrStderr())
	return string(b), err
}
