package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/gb28181"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

func newGB28181() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gb28181",
		Short: "国标设备：列表、目录、录像、下载、控制、模拟 / devices of GB/T 28181",
	}
	cmd.AddCommand(newGB28181Devices(), newGB28181Catalog(), newGB28181Records(), newGB28181Download(), newGB28181Control(),
		newGB28181Look("info", "设备信息 / what the device says it is"), newGB28181Look("status", "设备状态 / how the device says it is"),
		newGB28181Look("config", "设备基本配置 / its basic configuration"), newGB28181Simulate())
	return cmd
}

// platform is the GB/T 28181 side of an edge: it tells the cameras behind a
// device what the registrar knows of it.
type platform struct {
	*gb28181.Platform
	edge *edge

	mu      sync.Mutex
	cameras map[string][]deviceCamera // by device ID
	alarms  deviceAlarms
}

// deviceCamera is a configured camera behind a device.
type deviceCamera struct {
	id       ingest.CameraID
	channel  string
	connects bool // it may be connected at all
	lawful   bool // it may be analysed
}

// newPlatform makes the platform of the configuration; nil without one.
func (p *process) newPlatform(e *edge) (*platform, error) {
	cfg := p.cfg.Edge.GB28181
	if cfg == nil {
		return nil, nil
	}
	secure, err := deviceTLS(cfg.TLS)
	if err != nil {
		return nil, fmt.Errorf("edge.gb28181.tls: %w", err)
	}
	d := &platform{edge: e, cameras: map[string][]deviceCamera{}}
	d.Platform, err = gb28181.New(gb28181.Options{
		Config: *cfg, TLS: secure, ListenTLS: cfg.TLS.Listen, Registerer: p.registry, Log: p.log, UserAgent: "sharpeyes " + version,
		Dir: filepath.Join(p.cfg.DataDir, "gb28181"), OnState: d.changed, OnAlarm: d.onAlarm,
	})
	if err != nil {
		return nil, fmt.Errorf("edge.gb28181: %w", err)
	}
	return d, nil
}

// deviceTLS reads the files of TLS for devices; nil without a certificate. The
// configuration was checked, so an error means that they changed since.
func deviceTLS(t configs.GB28181TLS) (*tls.Config, error) {
	if t.Cert == "" {
		return nil, nil
	}
	c, err := readTLS(t.Cert, t.Key)
	if err != nil || t.ClientCA == "" {
		return c, err
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.ClientCAs, err = readAuthorities(t.ClientCA)
	return c, err
}

// readTLS begins a configuration of TLS with a certificate and its key, in PEM;
// "" for both is none.
func readTLS(cert, key string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if cert == "" && key == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s, key %s: %w: write the certificate chain and its own key, each as a PEM file that this user may read", cert, key, err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// readAuthorities reads the certificates of authorities from a PEM file.
func readAuthorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("authorities: %s holds no certificate: write a PEM file that begins with -----BEGIN CERTIFICATE-----", path)
	}
	return pool, nil
}

// start lets g wait for the platform and for who asks its devices how they are.
func (d *platform) start(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return d.inspect(ctx) })
	g.Go(func() error {
		if err := d.Run(ctx); err != nil {
			return fmt.Errorf("edge.gb28181: %w; another program listens there, or the address is not this machine's: write another in listen, tls.listen or media", err)
		}
		return nil
	})
}

// askKey returns how the camera is asked for a key frame; nil where it cannot be.
func (e *edge) askKey(cam configs.Camera) func() {
	a, err := configs.ParseGB28181(cam.URL)
	if err != nil || e.devices == nil {
		return nil
	}
	return func() { e.devices.AskKeyFrame(a.Device, a.Channel) }
}

// know takes the configured cameras, before the fleet does.
func (d *platform) know(cams []configs.Camera) {
	cameras := map[string][]deviceCamera{}
	for _, c := range cams {
		a, err := configs.ParseGB28181(c.URL)
		if err != nil {
			continue // another kind of source
		}
		cameras[a.Device] = append(cameras[a.Device], deviceCamera{
			id: ingest.CameraID(c.ID), channel: a.Channel, connects: c.Connects(), lawful: detect.Lawful(c.LegalBasis),
		})
	}
	d.SetCameras(cams)
	d.mu.Lock()
	d.cameras = cameras
	d.mu.Unlock()
}

// tell repeats what is known of every device: cameras that were just applied
// have heard nothing yet.
func (d *platform) tell() {
	for _, dev := range d.Devices() {
		d.onState(dev.ID, dev.Registered.Value, dev.Registered.Reason)
	}
}

// changed hears that the registration of a device changed. The cameras of one
// that is there again do not wait for the end of their back-off.
func (d *platform) changed(device string, v ingest.Value, r ingest.Reason) {
	d.onState(device, v, r)
	if v != ingest.Yes {
		return
	}
	for _, c := range d.camerasOf(device) {
		d.edge.nudge(c.id)
	}
}

// onState tells the cameras behind a device that its registration changed.
func (d *platform) onState(device string, v ingest.Value, r ingest.Reason) {
	for _, c := range d.camerasOf(device) {
		d.edge.fleet.SetRegistered(c.id, v, r)
	}
}

func (d *platform) camerasOf(device string) []deviceCamera {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cameras[device]
}

// find returns the configured camera of a channel.
func (d *platform) find(device, channel string) (deviceCamera, bool) {
	for _, c := range d.camerasOf(device) {
		if c.channel == channel {
			return c, true
		}
	}
	return deviceCamera{}, false
}

// camera returns the ID of the configured camera of a channel, or "".
func (d *platform) camera(device, channel string) ingest.CameraID {
	c, _ := d.find(device, channel)
	return c.id
}

// openSource chooses the source by the address's scheme.
func openSource(c configs.Camera, d *platform, buffers *rtsp.Buffers, log *slog.Logger) (ingest.Source, error) {
	address := c.URL
	if c.Settings.Stream == configs.StreamSub || c.Settings.Stream == configs.StreamBoth {
		address = c.SubstreamURL
	}
	switch {
	case strings.HasPrefix(address, "file://"):
		return replay.Open(ingest.CameraID(c.ID), address)
	case configs.IsGB28181(address) && d == nil:
		return nil, &ingest.Fault{Reason: ingest.ReasonStopped, Err: errors.New("the platform of GB/T 28181 does not run"),
			Hint: "edge.gb28181 was added since the start: restart sharpeyes"}
	case configs.IsGB28181(address):
		c.URL = address
		return d.Source(c)
	}
	return rtsp.New(c, log, buffers)
}

// report says what a person has to decide about the devices.
func (d *platform) report() *api.DeviceReport {
	r := &api.DeviceReport{}
	for _, dev := range d.Devices() {
		switch {
		case !dev.Configured:
			if r.WaitingTotal++; len(r.Waiting) < api.MaxReported {
				r.Waiting = append(r.Waiting, api.WaitingDevice{
					ID: dev.ID, Address: dev.Address, UserAgent: dev.UserAgent, Version: dev.Version,
					FirstSeen: dev.FirstSeen, LastSeen: dev.LastSeen, Attempts: dev.Attempts,
				})
			}
		default:
			r.Configured++
			if dev.Registered.Value == ingest.Yes {
				r.Registered++
			}
		}
	}
	for _, c := range d.Changes() {
		if r.ChangesTotal++; len(r.Changes) < api.MaxReported {
			r.Changes = append(r.Changes, api.ChannelChange{
				Device: c.Device, Channel: c.Channel, Camera: c.Camera, Kind: string(c.Kind), Configured: c.Configured, Reported: c.Reported,
			})
		}
	}
	return r
}
