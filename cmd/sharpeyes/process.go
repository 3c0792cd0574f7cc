package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sharpeyes/sharpeyes/api/coverage"
	"github.com/sharpeyes/sharpeyes/api/stream"
	"github.com/sharpeyes/sharpeyes/configs"
)

// stopTime is how long a part may take to end after it was told to.
const stopTime = 5 * time.Second

// process is what every running command shares: configuration, log, metrics and
// the way to Redis.
type process struct {
	path      string // of the configuration file
	cfg       *configs.Config
	divisions *coverage.Divisions
	log       *slog.Logger
	registry  *prometheus.Registry
	redis     redis.UniversalClient
	out       io.Writer   // what a person at the terminal reads
	closers   []io.Closer // closed in reverse order
	local     *local      // for commands of this machine; nil without GB/T 28181
}

// newProcess loads the configuration and makes the folder for data.
func newProcess(cmd *cobra.Command, path string) (*process, error) {
	cfg, divisions, err := loadConfig(path)
	if err != nil {
		return nil, err
	}
	p := &process{path: path, cfg: cfg, divisions: divisions, out: cmd.OutOrStdout(), log: newLogger(cmd.ErrOrStderr(), cfg.Log)}
	stream.RouteClientLog(p.log)
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir %s: %w; create it or name a folder that this user may write", cfg.DataDir, err)
	}
	p.registry = prometheus.NewRegistry()
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sharpeyes_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	p.registry.MustRegister(info)
	return p, nil
}

// runParts loads the configuration, lets start bring up what runs, as parts of g,
// and waits until all of them have ended: being told to stop is no error. When
// start fails, what it started is waited for too, before what it uses is closed.
func runParts(cmd *cobra.Command, path string, start func(ctx context.Context, g *errgroup.Group, p *process) error) error {
	p, err := newProcess(cmd, path)
	if err != nil {
		return err
	}
	defer p.close()
	g, ctx := errgroup.WithContext(cmd.Context())
	if err := start(ctx, g, p); err != nil {
		g.Go(func() error { return err }) // ends the others
		return g.Wait()
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// loadConfig reads a file with the division table at hand, so that a code that
// names no village is found before anything runs.
func loadConfig(path string) (*configs.Config, *coverage.Divisions, error) {
	return loadConfigIn(path, "")
}

// loadConfigIn is loadConfig with relative paths counted from dir, "" for the
// file's own folder.
func loadConfigIn(path, dir string) (*configs.Config, *coverage.Divisions, error) {
	table, err := coverage.Builtin()
	if err != nil {
		return nil, nil, err
	}
	cfg, err := configs.Load(path, configs.Options{Division: table.Check, Dir: dir})
	if err != nil {
		return nil, nil, err
	}
	if cfg.Center != nil && cfg.Center.DivisionsFile != "" {
		table, err = readDivisions(cfg.Center.DivisionsFile)
		if err != nil {
			return nil, nil, err
		}
		if cfg, err = configs.Load(path, configs.Options{Division: table.Check, Dir: dir}); err != nil {
			return nil, nil, err
		}
	}
	return cfg, table, nil
}

func readDivisions(path string) (*coverage.Divisions, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("divisions_file: %w; see coverage.LoadDivisions for its form", err)
	}
	defer f.Close()
	table, err := coverage.LoadDivisions(f)
	if err != nil {
		return nil, fmt.Errorf("divisions_file %s: %w", path, err)
	}
	return table, nil
}

func newLogger(w io.Writer, cfg configs.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo
	}
	opt := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opt))
	}
	return slog.New(slog.NewTextHandler(w, opt))
}

// connect reaches the configured Redis, or starts a private one in the data
// folder when none is configured and private is allowed.
func (p *process) connect(ctx context.Context, private bool) error {
	opt := stream.ClientOptions{
		Addresses: p.cfg.Redis.Addresses, Master: p.cfg.Redis.Master,
		Username: p.cfg.Redis.Username, Password: p.cfg.Redis.Password.Value(), TLS: p.cfg.Redis.TLS,
	}
	if len(opt.Addresses) == 0 {
		if !private {
			return errors.New("redis.addresses is empty: name the server that edges and centers share, for example [\"10.0.0.5:6379\"]")
		}
		server, err := stream.StartServer(ctx, filepath.Join(p.cfg.DataDir, "redis"), p.log)
		if err != nil {
			return err
		}
		p.closers = append(p.closers, server)
		opt = stream.ClientOptions{Addresses: []string{server.Addr()}}
	}
	p.redis = stream.NewClient(opt)
	p.closers = append(p.closers, p.redis)
	return nil
}

// runningCopy is where the file that runs is kept for `config plan`. It names
// secrets and holds none.
func runningCopy(dataDir string) string { return filepath.Join(dataDir, "running.yaml") }

// keepRunning copies the file that was taken. Without the copy only the plan is
// poorer, so a failure is a warning.
func (p *process) keepRunning() {
	text, err := os.ReadFile(p.path)
	if err == nil {
		temp := runningCopy(p.cfg.DataDir) + ".new"
		if err = os.WriteFile(temp, text, 0o600); err == nil {
			err = os.Rename(temp, runningCopy(p.cfg.DataDir))
		}
	}
	if err != nil {
		p.log.Warn("config plan will not know what runs", "err", err)
	}
}

// close ends what the process opened, last opened first.
func (p *process) close() {
	for i := len(p.closers) - 1; i >= 0; i-- {
		if err := p.closers[i].Close(); err != nil && !errors.Is(err, fs.ErrClosed) && !errors.Is(err, redis.ErrClosed) {
			p.log.Warn("closing", "err", err)
		}
	}
	p.closers = nil
}

// say prints one line of progress to the person at the terminal.
func (p *process) say(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...)
}
