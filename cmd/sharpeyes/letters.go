package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/server"
	"github.com/sharpeyes/sharpeyes/api/stream"
)

func newDeadLetters() *cobra.Command {
	var path string
	var all bool
	cmd := &cobra.Command{
		Use:   "dead-letters",
		Short: "死信：中心无法处理的消息 / messages that no center could take",
	}
	cmd.PersistentFlags().StringVarP(&path, "config", "c", "standalone.yaml", "configuration file of the center")
	requeue := &cobra.Command{
		Use: "requeue [ID]", Short: "放回队列重试 / put back to be tried anew",
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) == 1) || len(args) > 1 {
				return errors.New("name one ID, or --all")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return onLetters(cmd, path, func(ctx context.Context, p *process, d *stream.DeadLetters) error {
				return requeueLetters(ctx, cmd, p, d, args)
			})
		},
	}
	requeue.Flags().BoolVar(&all, "all", false, "全部 / all of them")
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "列出死信 / list them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onLetters(cmd, path, func(ctx context.Context, _ *process, d *stream.DeadLetters) error {
				return listLetters(ctx, cmd, d)
			})
		},
	}, requeue)
	return cmd
}

// onLetters runs f on the dead letters of the configuration's Redis, a private
// one included, which must be running.
func onLetters(cmd *cobra.Command, path string, f func(context.Context, *process, *stream.DeadLetters) error) error {
	p, err := newProcess(cmd, path)
	if err != nil {
		return err
	}
	defer p.close()
	if p.cfg.Center == nil {
		return fmt.Errorf("%s has no center section", path)
	}
	if len(p.cfg.Redis.Addresses) == 0 {
		socket, err := os.ReadFile(filepath.Join(p.cfg.DataDir, "redis", "socket"))
		if err != nil {
			return fmt.Errorf("the private redis-server of %s is not known: %w; start sharpeyes standalone first", p.cfg.DataDir, err)
		}
		p.cfg.Redis.Addresses = []string{"unix://" + string(socket)}
	}
	if err := p.connect(cmd.Context(), false); err != nil {
		return err
	}
	return f(cmd.Context(), p, stream.NewDeadLetters(p.redis, p.cfg.Redis.Stream))
}

// eachLetter hands all dead letters to f, page by page, the newest first.
func eachLetter(ctx context.Context, d *stream.DeadLetters, f func(stream.DeadLetter)) error {
	for before := ""; ; {
		page, next, _, err := d.List(ctx, before, 500)
		if err != nil {
			return err
		}
		for _, l := range page {
			f(l)
		}
		if before = next; before == "" {
			return nil
		}
	}
}

func listLetters(ctx context.Context, cmd *cobra.Command, d *stream.DeadLetters) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "编号 ID\t时间 at\t原因 reason\t节点 node\t类型 kind\t摄像机 camera\t告警 alert\t说明 error")
	err := eachLetter(ctx, d, func(l stream.DeadLetter) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%q\n", l.ID, l.At.Format(time.RFC3339), l.Reason, l.Node, l.Kind, l.Camera, l.Alert, l.Error)
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// requeueLetters writes each into the access register before it moves it.
func requeueLetters(ctx context.Context, cmd *cobra.Command, p *process, d *stream.DeadLetters, args []string) error {
	st, err := p.openStore(ctx)
	if err != nil {
		return err
	}
	register := audit.New(st)
	var letters []stream.DeadLetter
	if len(args) == 1 {
		l, err := d.Get(ctx, args[0])
		if err != nil {
			return err
		}
		letters = append(letters, l)
	} else if err := eachLetter(ctx, d, func(l stream.DeadLetter) { letters = append(letters, l) }); err != nil {
		return err
	}
	login := "local"
	if u, err := user.Current(); err == nil {
		login = u.Username
	}
	n := 0
	for i := len(letters) - 1; i >= 0; i-- { // the oldest first
		if err := server.RegisterLetter(ctx, register, login, "requeue", letters[i]); err != nil {
			return err
		}
		err := d.Requeue(ctx, letters[i].ID)
		if errors.Is(err, stream.ErrNoLetter) && len(args) == 0 {
			continue // somebody else was quicker
		}
		if err != nil {
			return err
		}
		n++
	}
	fmt.Fprintf(cmd.OutOrStdout(), "放回 %d 条 / requeued %d\n", n, n)
	return nil
}
