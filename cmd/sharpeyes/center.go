package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/coverage"
	"github.com/sharpeyes/sharpeyes/api/grid"
	"github.com/sharpeyes/sharpeyes/api/server"
	"github.com/sharpeyes/sharpeyes/api/store"
	"github.com/sharpeyes/sharpeyes/api/stream"
	"github.com/sharpeyes/sharpeyes/api/web"
)

// firstUser is the name of the user that the first start makes.
const firstUser = "admin"

// expireEvery is how often pictures past their retention are looked for.
const expireEvery = time.Hour

func newCenter() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "center",
		Short: "中心：保存告警，提供接口和网页 / keep alerts, serve the interface and the page",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runParts(cmd, path, func(ctx context.Context, g *errgroup.Group, p *process) error {
				if p.cfg.Center == nil {
					return fmt.Errorf("%s has no center section; see configs/center.yaml", path)
				}
				if err := p.connect(ctx, false); err != nil {
					return err
				}
				c, err := p.startCenter(ctx, g)
				if err != nil {
					return err
				}
				c.welcome(p)
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "center.yaml", "configuration file")
	return cmd
}

// center is the running center.
type center struct {
	store     *store.Store
	server    *server.Server
	url       string
	firstFile string // where the first-start password stands until it is changed
	first     string // that password, "" when it was changed
}

func (p *process) openStore(ctx context.Context) (*store.Store, error) {
	c := p.cfg.Center.Pictures
	s, err := store.Open(ctx, store.Options{
		Path: p.databasePath(), DSN: p.cfg.Center.Postgres.Value(), PictureDir: filepath.Join(p.cfg.DataDir, "pictures"), Log: p.log, Registerer: p.registry,
		Bucket: store.Bucket{
			Name: c.Bucket, Endpoint: c.Endpoint, Region: c.Region, Prefix: c.Prefix, TLS: c.TLS,
			AccessKey: c.AccessKey.Value(), SecretKey: c.SecretKey.Value(),
		},
	})
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, s)
	return s, nil
}

// databasePath is center.database, relative to data_dir.
func (p *process) databasePath() string {
	if path := p.cfg.Center.Database; filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.cfg.DataDir, p.cfg.Center.Database)
}

// startCenter opens the store, takes up the stream and serves people.
func (p *process) startCenter(ctx context.Context, g *errgroup.Group) (*center, error) {
	st, err := p.openStore(ctx)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(p.cfg.Timezone)
	if err != nil {
		return nil, fmt.Errorf("timezone: %w", err)
	}
	c := &center{store: st, firstFile: filepath.Join(p.cfg.DataDir, "first-password")}
	cc := p.cfg.Center
	c.server, err = server.New(server.Options{
		Store: st, Events: grid.New(st, grid.Options{Location: zone}), Audit: audit.New(st),
		DeadLetters: stream.NewDeadLetters(p.redis, p.cfg.Redis.Stream),
		Coverage:    coverage.New(st, p.divisions, coverage.Options{MinPoints: cc.MinPoints, OfflineAfter: cc.OfflineAfter.Std()}),
		Divisions:   p.divisions, Web: web.Files(), Gatherer: p.registry, Registerer: p.registry,
		SessionFor: cc.SessionFor.Std(), OfflineAfter: cc.OfflineAfter.Std(), Secure: cc.TLSCert != "", Log: p.log,
		Ready: func(ctx context.Context) error { return p.redis.Ping(ctx).Err() },
		Wake: func(ctx context.Context, id api.CameraID) error {
			_, err := stream.Wake(ctx, p.redis, p.cfg.Redis.Stream, id)
			return err
		},
		PasswordChanged: func(user string) { c.forgetFirst(p, user) },
	})
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, c.server)
	if err := c.firstStart(ctx); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cc.Listen)
	if err != nil {
		return nil, fmt.Errorf("center.listen: %w; another program listens there, or the address is not this machine's", err)
	}
	c.url = "http://" + listener.Addr().String()
	if cc.TLSCert != "" {
		c.url = "https://" + listener.Addr().String()
	}
	consumer := stream.NewConsumer(stream.ConsumerOptions{
		Redis: p.redis, Stream: p.cfg.Redis.Stream, Group: p.cfg.Redis.Group, Name: p.cfg.Node,
		Handle: c.server.Ingest, Log: p.log, Registerer: p.registry,
	})
	g.Go(func() error { return consumer.Run(ctx) })
	g.Go(func() error { return c.server.Serve(ctx, listener, cc.TLSCert, cc.TLSKey) })
	g.Go(func() error { return c.expire(ctx, p) })
	return c, nil
}

// firstStart makes the first user and keeps the password readable for this
// user of the machine until somebody changed it.
func (c *center) firstStart(ctx context.Context) error {
	password, created, err := c.server.EnsureAdmin(ctx)
	if err != nil {
		return err
	}
	if created {
		if err := os.WriteFile(c.firstFile, []byte(password+"\n"), 0o600); err != nil {
			return fmt.Errorf("first-start password: %w", err)
		}
		c.first = password
		return nil
	}
	b, err := os.ReadFile(c.firstFile)
	if err == nil {
		c.first = string(b[:max(0, len(b)-1)])
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("first-start password: %w", err)
	}
	return nil
}

// welcome tells the person at the terminal where the page is and how to get in.
func (c *center) welcome(p *process) {
	p.say("")
	p.say("  网页 / page       %s", c.url)
	if c.first != "" {
		p.say("  用户 / user       %s", firstUser)
		p.say("  初始密码 / first-start password   %s", c.first)
		p.say("  （首次登录后请修改；也存于 %s / change it after logging in)", c.firstFile)
	}
	p.say("  停止 / stop       Ctrl+C")
	p.say("")
}

// expire removes pictures past their retention until ctx is done.
func (c *center) expire(ctx context.Context, p *process) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		gone, err := c.store.Expire(ctx, time.Now())
		switch {
		case err != nil && ctx.Err() == nil:
			p.log.Error("removing expired pictures", "err", err)
		case gone.Pictures > 0:
			p.log.Info("expired pictures removed", "pictures", gone.Pictures)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// forgetFirst removes the file with the first-start password once the first
// user has chosen another.
func (c *center) forgetFirst(p *process, user string) {
	if user != firstUser {
		return
	}
	if err := os.Remove(c.firstFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.log.Warn("the first-start password is not valid any more, remove its file by hand", "err", err)
	}
}
