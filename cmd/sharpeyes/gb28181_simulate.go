package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
)

func newGB28181Simulate() *cobra.Command {
	var opt simulate.Options
	var faults, passwordEnv string
	var secure simulatedTLS
	var quiet bool
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "模拟设备：注册、目录、实时流、回放、报警、故障 / play devices: registration, catalogue, live, playback, alarms, faults",
		Long:  "Plays GB/T 28181 devices from .h264 and .h265 files against a platform, this machine's unless --allow-remote says otherwise. Ends with Ctrl-C; the devices unregister then.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opt.Faults, err = simulate.ParseFaults(faults); err != nil {
				return err
			}
			if opt.Password, err = passwordFrom(passwordEnv); err != nil {
				return err
			}
			if opt.TLS, err = secure.read(opt.Transport); err != nil {
				return err
			}
			if !quiet {
				opt.OnEvent = func(e simulate.Event) {
					fmt.Fprintln(cmd.OutOrStdout(), e.Time.Format(time.TimeOnly), e.Device, e.Channel, string(e.Kind), e.Text)
				}
			}
			sim, err := simulate.New(opt)
			if err != nil {
				return err
			}
			return runDevices(cmd, sim)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&opt.Server, "server", "127.0.0.1:5060", "host:port of the platform's SIP")
	fl.StringVar(&opt.ServerID, "server-id", "36112700002000000001", "20-digit ID of the platform")
	fl.StringVar(&opt.Domain, "domain", "", "SIP domain of the platform; default: the first 10 digits of its ID")
	fl.BoolVar(&opt.AllowRemote, "allow-remote", false, "let the platform be another machine")
	fl.IntVar(&opt.Devices, "devices", 1, "how many devices")
	fl.IntVar(&opt.Channels, "channels", 1, "channels of each device")
	fl.StringVar(&opt.FirstID, "first-id", "36112700001180000001", "20-digit ID of the first device; the others count up")
	fl.StringVar(&passwordEnv, "password-env", "", "environment variable that holds the devices' password; default: none")
	fl.StringVar(&opt.Transport, "transport", "udp", "of SIP: udp, tcp or tls")
	fl.StringVar(&secure.ca, "ca", "", "with --transport tls: PEM file with the authority of the platform's certificate, or that certificate; default: the roots of the system")
	fl.StringVar(&secure.cert, "cert", "", "with --transport tls: PEM file with the devices' certificate, where the platform asks for one; default: none")
	fl.StringVar(&secure.key, "key", "", "with --cert: PEM file with its key")
	fl.BoolVar(&opt.OwnSocket, "own-socket", false, "one UDP socket for each device; default: one for all")
	fl.StringVar(&opt.Digest, "digest", "MD5", "MD5, SHA-256 or SM3 (2022): announced and answered, where the platform takes it")
	fl.StringVar(&opt.Version, "gb-version", "3.0", "3.0 (2022) or 2.0 (2016)")
	fl.DurationVar(&opt.Expires, "expires", 24*time.Hour, "of the registration")
	fl.DurationVar(&opt.Keepalive, "keepalive", time.Minute, "interval of keepalives")
	fl.DurationVar(&opt.Spread, "spread", 0, "the devices start evenly over this time")
	fl.StringSliceVar(&opt.Clips, "clip", nil, "Annex-B file (.h264, .h265) for the channels in turn; repeat for more")
	fl.DurationVar(&opt.KeyEvery, "key-every", 0, "a key frame at least so often, 1s for example; default: as in the clip")
	fl.StringVar(&opt.Charset, "charset", "", "UTF-8 or GB2312; default: as usual for the version")
	fl.IntVar(&opt.PageSize, "page", 10, "items in one message of a catalogue or of records")
	fl.BoolVar(&opt.Shuffle, "shuffle", false, "send the parts of an answer out of order")
	fl.DurationVar(&opt.AlarmEvery, "alarm-every", 0, "each device raises an alarm so often; default: never")
	fl.BoolVar(&opt.NeedsGuard, "needs-guard", false, "raise alarms only after SetGuard (布防)")
	fl.StringVar(&faults, "fault", "", "comma-separated: wrong-ssrc, no-ssrc, no-psm, ts, raw, half-open, silence, gbk-lie, duplicate-ids, bare-xml, no-sdp, mute")
	fl.BoolVarP(&quiet, "quiet", "q", false, "print only the count every 10 s, not each event")
	return cmd
}

// simulatedTLS is what the flags say of TLS.
type simulatedTLS struct{ ca, cert, key string }

// read returns the configuration of TLS; nil where another transport is used.
func (t simulatedTLS) read(transport string) (*tls.Config, error) {
	if transport != "tls" {
		if t != (simulatedTLS{}) {
			return nil, errors.New("--ca, --cert and --key are of TLS: add --transport tls")
		}
		return nil, nil
	}
	c, err := readTLS(t.cert, t.key)
	if err != nil || t.ca == "" {
		return c, err
	}
	c.RootCAs, err = readAuthorities(t.ca)
	return c, err
}

// passwordFrom returns what the environment variable holds; no name is no
// password.
func passwordFrom(env string) (string, error) {
	if env == "" {
		return "", nil
	}
	v, ok := os.LookupEnv(env)
	if !ok {
		return "", fmt.Errorf("the environment variable %s is not set", env)
	}
	return v, nil
}

// runDevices runs the devices and says every ten seconds how they are.
func runDevices(cmd *cobra.Command, sim *simulate.Simulator) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			s := sim.Stats()
			fmt.Fprintf(cmd.OutOrStdout(), "已注册 %d / %d registered, %d registrations, %d refused, %d keepalives, %d without answer, %d streams, %d units, %.1f MB\n",
				s.Registered, s.Registered, s.Registrations, s.Refused, s.Keepalives, s.Timeouts, s.Sessions, s.Units, float64(s.Bytes)/1e6)
		}
	}
}
