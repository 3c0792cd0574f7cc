package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/api/server"
	"github.com/sharpeyes/sharpeyes/api/store"
)

// newUser is for the person at the center's own machine: the way back in when
// nobody remembers a password.
func newUser() *cobra.Command {
	var path string
	cmd := &cobra.Command{Use: "user", Short: "中心的账号 / accounts of the center, from its own machine"}
	cmd.PersistentFlags().StringVarP(&path, "config", "c", "standalone.yaml", "configuration file of the center")
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "列出账号 / list the accounts", Args: cobra.NoArgs, RunE: onStore(&path, listUsers)},
		newUserAdd(&path),
		&cobra.Command{
			Use: "password NAME", Short: "给账号一个新的随机密码 / give an account a new random password",
			Args: cobra.ExactArgs(1), RunE: onStore(&path, resetUser),
		},
	)
	return cmd
}

func newUserAdd(path *string) *cobra.Command {
	u := store.User{}
	var role string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "新建账号，密码只显示一次 / make an account; its password is shown once",
		Args: cobra.ExactArgs(1),
		RunE: onStore(path, func(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
			u.Name, u.Role = args[0], store.Role(role)
			accounts, err := server.NewAccounts(st)
			if err != nil {
				return err
			}
			password, err := accounts.Add(ctx, u)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s 的密码 / password of %s: %s\n", u.Name, u.Name, password)
			return nil
		}),
	}
	cmd.Flags().StringVar(&u.Display, "display", "", "姓名，写入调用登记 / name, for the access register")
	cmd.Flags().StringVar(&u.Unit, "unit", "", "单位，写入调用登记 / unit, for the access register")
	cmd.Flags().StringVar(&u.Post, "post", "", "岗位 / post")
	cmd.Flags().StringVar(&role, "role", string(store.RoleDuty), "admin, duty or viewer")
	return cmd
}

func listUsers(ctx context.Context, cmd *cobra.Command, st *store.Store, _ []string) error {
	users, err := st.Users(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "账号 name\t角色 role\t姓名 display\t单位 unit\t停用 disabled")
	for _, u := range users {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%v\n", u.Name, u.Role, u.Display, u.Unit, u.Disabled)
	}
	return w.Flush()
}

func resetUser(ctx context.Context, cmd *cobra.Command, st *store.Store, args []string) error {
	accounts, err := server.NewAccounts(st)
	if err != nil {
		return err
	}
	password, err := accounts.Reset(ctx, args[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s 的新密码 / new password of %s: %s\n", args[0], args[0], password)
	return nil
}
