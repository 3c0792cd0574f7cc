package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

func newCamera() *cobra.Command {
	cmd := &cobra.Command{Use: "camera", Short: "摄像机工具 / tools for one camera"}
	cmd.AddCommand(newCameraProbe(), newCameraTrace())
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
	f.connection(cmd)
	cmd.Flags().DurationVarP(&f.seconds, "for", "d", 6*time.Second, "how long to watch the stream")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

// connection adds the flags that say how a camera is reached.
func (f *probeFlags) connection(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.username, "username", "u", "", "user name on the camera")
	fl.StringVar(&f.passwordEnv, "password-env", "", "environment variable that holds the password; without it and --password-file it is asked for")
	fl.StringVar(&f.passwordFile, "password-file", "", "file that holds the password")
	fl.StringVar(&f.transport, "transport", "auto", "auto, tcp or udp")
	fl.StringVar(&f.caFile, "ca-file", "", "PEM file of the authority that signed the camera's certificate")
	fl.StringVar(&f.fingerprint, "fingerprint", "", "SHA-256 of the camera's certificate, in hex")
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
	if err != nil {
		return err
	}
	if f.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		err = enc.Encode(result)
	} else {
		_, err = io.WriteString(cmd.OutOrStdout(), probeText(result))
	}
	if err == nil && result.Fault != nil {
		err = errSilent{1}
	}
	return err
}

// probeText says what a probe found, for people.
func probeText(r *rtsp.ProbeResult) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-22s "+format+"\n", append([]any{name}, args...)...)
	}
	if r.Transport != "" {
		line("传输 transport", "%s", r.Transport)
	}
	for _, t := range r.Tracks {
		line("轨道 track", "%s %s, %d Hz", t.Kind, t.Codec, t.ClockRate)
	}
	if v := r.Video; v != nil {
		line("编码 codec", "%s %s %s", v.Codec, v.Profile, v.Level)
		line("尺寸 size", "%d × %d", v.Width, v.Height)
		line("帧率 frame rate", "%.2f measured, %.2f declared", v.FPS, v.DeclaredFPS)
		line("GOP", "%d pictures, %.2f s", v.GOP, v.GOPSeconds)
		line("码率 bit rate", "%.0f kbit/s", v.BitsPerSecond/1000)
		line("B 帧 B-frames", "%t", v.BFrames)
		line("参数集 parameter sets", "SDP %t, in band %t", v.ParametersSDP, v.ParametersIn)
		line("首帧 first picture", "%.2f s, key frame %.2f s", v.FirstUnit, v.FirstKey)
		line("收到 received", "%d units, %d key frames, %d packets lost", v.Units, v.KeyFrames, v.LostPackets)
		line("时钟 clock", "drift %.0f ppm, %d jumps, over %.1f s", v.ClockDrift, v.ClockJumps, v.Seconds)
	}
	if r.Fault != nil {
		line("故障 fault", "%s: %s", r.Fault.Reason, r.Fault.Error)
		if r.Fault.Hint != "" {
			line("办法 what to do", "%s", r.Fault.Hint)
		}
	}
	return b.String()
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
