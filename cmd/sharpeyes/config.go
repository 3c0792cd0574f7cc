package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/configs"
)

// errNoEdge refuses a file that would leave an edge without cameras to run.
var errNoEdge = errors.New("the file has no edge section any more; stop the program instead, or put the section back")

func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "检查、查看、比较配置 / check, show and compare configuration files"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "check FILE", Short: "检查配置文件，一次列出全部问题 / report every problem of a file at once",
			Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				cfg, err := checked(cmd.ErrOrStderr(), args[0])
				if err != nil {
					return err
				}
				cameras := 0
				if cfg.Edge != nil {
					cameras = len(cfg.Edge.Cameras)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: 正确 / correct, %d cameras\n", args[0], cameras)
				return nil
			},
		},
		&cobra.Command{
			Use: "schema", Short: "输出 JSON Schema，供编辑器使用 / print the JSON Schema, for editors",
			Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", configs.Schema())
				return err
			},
		},
		&cobra.Command{
			Use: "print FILE", Short: "输出生效的值，密码隐去 / print the effective values, secrets masked",
			Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				cfg, err := checked(cmd.ErrOrStderr(), args[0])
				if err != nil {
					return err
				}
				return configs.Print(cmd.OutOrStdout(), cfg)
			},
		},
		newConfigPlan(),
		&cobra.Command{
			Use: "sample NAME", Short: "输出样例 edge、center 或 standalone / print a complete sample: edge, center or standalone",
			Args: cobra.ExactArgs(1), ValidArgs: []string{"edge", "center", "standalone"},
			RunE: func(cmd *cobra.Command, args []string) error {
				b, err := configs.Sample(args[0])
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(b)
				return err
			},
		},
	)
	return cmd
}

func newConfigPlan() *cobra.Command {
	var running string
	cmd := &cobra.Command{
		Use: "plan FILE", Short: "显示重新加载会启动、停止、改变什么 / show what a reload would start, stop and change",
		Long: "Compares FILE with what runs now and says what a reload would touch. What runs is the copy that the program keeps in data_dir, or the file named by --running. Nothing is changed.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			next, err := checked(cmd.ErrOrStderr(), args[0])
			if err != nil {
				return err
			}
			old, err := runningConfig(cmd.ErrOrStderr(), args[0], running, next.DataDir)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), configs.Diff(old, next))
			return err
		},
	}
	cmd.Flags().StringVar(&running, "running", "", "the file that runs now; default: the copy in FILE's data_dir")
	return cmd
}

// runningConfig is what a plan is compared with: the named file, or the copy
// that the running program keeps, or nothing when none ran there yet.
func runningConfig(stderr io.Writer, file, running, dataDir string) (*configs.Config, error) {
	if running != "" {
		return checked(stderr, running)
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	cfg, _, err := loadConfigIn(runningCopy(dataDir), dir)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(stderr, "%s 中没有运行过的配置，全部视为新增 / nothing ran with this data_dir yet: all is new\n", dataDir)
		return &configs.Config{}, nil
	}
	return cfg, err
}

// checked loads a file and prints its problems, one a line.
func checked(stderr io.Writer, path string) (*configs.Config, error) {
	cfg, _, err := loadConfig(path)
	var problems configs.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Fprintln(stderr, p)
		}
		return nil, errSilent{1}
	}
	return cfg, err
}
