package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

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
			p, err := newProcess(cmd, path)
			if err != nil {
				return err
			}
			defer p.close()
			if p.cfg.Edge == nil || p.cfg.Center == nil {
				return fmt.Errorf("%s needs an edge and a center section; see configs/standalone.yaml", path)
			}
			g, ctx := errgroup.WithContext(cmd.Context())
			c, err := p.startBoth(ctx, g, clips, clipsAddr)
			if err != nil {
				// What was started already is waited for before its parts are closed.
				return firstError(err, g)
			}
			c.welcome(p)
			return untilStopped(g)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "standalone.yaml", "configuration file")
	cmd.Flags().StringVar(&clips, "clips", "", "also serve the .h264 and .h265 files of this folder as RTSP cameras (demonstration)")
	cmd.Flags().StringVar(&clipsAddr, "clips-listen", "127.0.0.1:8554", "where the clips are served")
	return cmd
}

// firstError lets g end with err and returns it.
func firstError(err error, g *errgroup.Group) error {
	g.Go(func() error { return err })
	return g.Wait()
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
	return c, p.startEdge(ctx, g)
}

// serveClips makes one RTSP camera of each clip in the folder, under the file's
// name without its ending. They play in a loop, at the speed of the clip.
func (p *process) serveClips(dir, address string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clips: %w", err)
	}
	srv := rtsp.NewServer(rtsp.ServerOptions{Address: address, UDP: true, Log: p.log})
	served := 0
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if ext != ".h264" && ext != ".h265" {
			continue
		}
		file := filepath.Join(dir, e.Name())
		name := strings.TrimSuffix(e.Name(), ext)
		err := srv.Publish(name, func() (ingest.Source, error) {
			return replay.New(file, replay.Options{Camera: ingest.CameraID(name), Loop: true, Realtime: true})
		})
		if err != nil {
			return fmt.Errorf("clip %s: %w", file, err)
		}
		served++
	}
	if served == 0 {
		return fmt.Errorf("clips: no .h264 or .h265 file in %s", dir)
	}
	if err := srv.Start(); err != nil {
		return err
	}
	p.closers = append(p.closers, closer(srv.Close))
	return nil
}

// closer makes an io.Closer of a Close that cannot fail.
type closer func()

// Close implements io.Closer.
func (c closer) Close() error {
	c()
	return nil
}
