package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/api/store"
)

func newBackup() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "备份中心：告警、事件、登记、图片，运行中即可 / back the center up while it runs",
		Long: "Writes alerts, events, the access register, accounts and pictures of one moment into one file.\n" +
			"The file can be restored into SQLite or PostgreSQL. It names people who decided and looked, and holds\n" +
			"password hashes: keep it as you keep the database.",
		Args: cobra.ExactArgs(1),
		RunE: onStore(&path, backUp),
	}
	cmd.Flags().StringVarP(&path, "config", "c", "standalone.yaml", "configuration file of the center")
	return cmd
}

func newRestore() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "把备份恢复到空的数据库 / restore a backup into an empty database",
		Long: "Fills an empty database from a backup: a new SQLite file, or an empty PostgreSQL database.\n" +
			"Stop the center first. Everything is checked; what does not hold leaves the database empty.",
		Args: cobra.ExactArgs(1),
		RunE: onStore(&path, restore),
	}
	cmd.Flags().StringVarP(&path, "config", "c", "standalone.yaml", "configuration file of the center")
	return cmd
}

// storeCommand is what a command does with the center's database and pictures.
type storeCommand func(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error

// onStore runs f on the store of the configuration's center.
func onStore(path *string, f storeCommand) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p, err := newProcess(cmd, *path)
		if err != nil {
			return err
		}
		defer p.close()
		if p.cfg.Center == nil {
			return fmt.Errorf("%s has no center section", *path)
		}
		st, err := p.openStore(cmd.Context())
		if err != nil {
			return err
		}
		return f(cmd.Context(), cmd, st, args)
	}
}

// backUp writes beside the file and renames, so that FILE is a whole backup or
// what it was before.
func backUp(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	file := args[0]
	f, err := os.CreateTemp(filepath.Dir(file), ".backup-*") // mode 0600
	if err != nil {
		return fmt.Errorf("backup: %w; choose a folder that this user may write", err)
	}
	m, err := st.Backup(ctx, f, progressTo(cmd.ErrOrStderr()))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	size, err := os.Stat(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d 条告警 alerts, %d 个事件 events, %d 张图片 pictures, %d 字节 bytes\n",
		file, m.Rows["alerts"], m.Rows["events"], m.Pictures, size.Size())
	if m.Missing > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%d 张图片的文件已不在 / files of %d pictures were gone\n", m.Missing, m.Missing)
	}
	return nil
}

func restore(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer f.Close()
	m, err := st.Restore(ctx, f, progressTo(cmd.ErrOrStderr()))
	if errors.Is(err, store.ErrNotEmpty) {
		return fmt.Errorf("%w; name a new file in center.database, or an empty database in center.postgres", err)
	}
	if err != nil {
		return err
	}
	verdict, err := audit.New(st).Verify(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "备份时间 made at %s: %d 条告警 alerts, %d 个事件 events, %d 张图片 pictures, 登记 register %d 行 rows\n",
		m.Made.Format(time.RFC3339), m.Rows["alerts"], m.Rows["events"], m.Pictures, verdict.Rows)
	if verdict.Broken != nil {
		return fmt.Errorf("the access register in this backup is not what was written: row %d: %s", verdict.Broken.Seq, verdict.Broken.What)
	}
	return nil
}

// progressTo tells a person how far it is: each table, and every thousandth
// picture.
func progressTo(w io.Writer) func(what string, n int64) {
	return func(what string, n int64) {
		if what != "pictures" || n%1000 == 0 {
			fmt.Fprintf(w, "%s: %d\n", what, n)
		}
	}
}
