package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

func newStandalone() *cobra.Command {
	var path, clips, clipsAddr string
	cmd := &cobra.Command{
		Use:   "standalone",
		Short: "单机：边缘和中心在一个进程里 / edge and center in one process",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runParts(cmd, path, func(ctx context.Context, g *errgroup.Group, p *process) error {
				if p.cfg.Edge == nil || p.cfg.Center == nil {
					return fmt.Errorf("%s needs an edge and a center section; see configs/standalone.yaml", path)
				}
				c, err := p.startBoth(ctx, g, clips, clipsAddr)
				if err != nil {
					return err
				}
				c.welcome(p)
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "standalone.yaml", "configuration file")
	cmd.Flags().StringVar(&clips, "clips", "", "also serve the .h264 and .h265 files of this folder as RTSP cameras, and as channels of the GB/T 28181 devices that need no password (demonstration)")
	cmd.Flags().StringVar(&clipsAddr, "clips-listen", "127.0.0.1:8554", "where the clips are served")
	return cmd
}

// startBoth brings up everything that one machine needs, and says how far it is.
func (p *process) startBoth(ctx context.Context, g *errgroup.Group, clips, clipsAddr string) (*center, error) {
	p.say("[1/4] Redis …")
	if err := p.connect(ctx, true); err != nil {
		return nil, err
	}
	p.say("[2/4] 中心：数据库、网页 / center: database, page …")
	c, err := p.startCenter(ctx, g)
	if err != nil {
		return nil, err
	}
	if clips != "" {
		p.say("[3/4] 演示摄像机 / demonstration cameras: rtsp://%s …", clipsAddr)
		if err := p.serveClips(clips, clipsAddr); err != nil {
			return nil, err
		}
	}
	p.say("[4/4] 边缘：检测模型、摄像机 / edge: detection model, %d cameras …", len(p.cfg.Edge.Cameras))
	devices, err := p.startEdge(ctx, g)
	if err != nil || devices == nil {
		return c, err
	}
	if clips != "" {
		if err := p.playDevices(ctx, g, devices, clips); err != nil {
			return nil, err
		}
	}
	return c, p.serveEdge(ctx, g) // for the commands of GB/T 28181
}

// serveClips makes one RTSP camera of each clip in the folder, under the file's
// name without its ending. They play in a loop, at the speed of the clip.
func (p *process) serveClips(dir, address string) error {
	files, err := clipFiles(dir)
	if err != nil {
		return err
	}
	srv := rtsp.NewServer(rtsp.ServerOptions{Address: address, UDP: true, Log: p.log})
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		err := srv.Publish(name, func() (ingest.Source, error) {
			return replay.New(file, replay.Options{Camera: ingest.CameraID(name), Loop: true, Realtime: true})
		})
		if err != nil {
			return fmt.Errorf("clip %s: %w", file, err)
		}
	}
	if err := srv.Start(); err != nil {
		return err
	}
	p.closers = append(p.closers, closer(srv.Close))
	return nil
}

// clipFiles returns the clips of a folder by name; none is an error.
func clipFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("clips: %w", err)
	}
	var files []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".h264" || ext == ".h265" {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("clips: no .h264 or .h265 file in %s", dir)
	}
	return files, nil
}

// playDevices plays the GB/T 28181 devices of the demonstration: those that
// stand in the configuration by their ID and without a password. Each has a
// channel for every clip.
func (p *process) playDevices(ctx context.Context, g *errgroup.Group, d *platform, dir string) error {
	files, err := clipFiles(dir)
	if err != nil {
		return err
	}
	for _, dev := range p.cfg.Edge.GB28181.Devices {
		if dev.ID == "" || !dev.Open {
			continue
		}
		g.Go(func() error {
			server, err := d.Addr(ctx)
			if err != nil {
				return nil // stopped, or the platform says itself why it does not listen
			}
			sim, err := simulate.New(simulate.Options{
				Server: server.String(), ServerID: p.cfg.Edge.GB28181.ID, Domain: p.cfg.Edge.GB28181.Domain(), FirstID: dev.ID, Name: dev.Name,
				Channels: len(files), Clips: files, Log: p.log,
			})
			if err != nil {
				return fmt.Errorf("demonstration: %w", err)
			}
			return sim.Run(ctx)
		})
	}
	return nil
}

// closer makes an io.Closer of a Close that cannot fail.
type closer func()

// Close implements io.Closer.
func (c closer) Close() error {
	c()
	return nil
}
