package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/gb28181"
)

// localFlags are those of every command that talks to the running edge.
type localFlags struct {
	dataDir string
	json    bool
}

func (f *localFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dataDir, "data-dir", "./data", "data_dir of the running edge or standalone")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
}

// call asks the running edge; the caller closes the body. body is sent as JSON
// unless it is nil.
func (f *localFlags) call(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	text, err := os.ReadFile(localFile(f.dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no edge with edge.gb28181 runs on this data_dir; start it, or name its data_dir with --data-dir", localFile(f.dataDir))
	}
	if err != nil {
		return nil, fmt.Errorf("%w; run the command as the user of the running edge", err)
	}
	var access localAccess
	if err := json.Unmarshal(text, &access); err != nil {
		return nil, fmt.Errorf("%s: %w", localFile(f.dataDir), err)
	}
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, access.URL+localPrefix+path+"?"+query.Encode(), content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+access.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the edge does not answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()                                 //nolint:errcheck // read only
		why, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what came tells enough
		return nil, errors.New(strings.TrimSpace(string(why)))
	}
	return res, nil
}

// get asks for JSON into v, and prints it when JSON is asked for: then done is
// true.
func (f *localFlags) get(cmd *cobra.Command, method, path string, query url.Values, body, v any) (done bool, err error) {
	res, err := f.call(cmd.Context(), method, path, query, body)
	if err != nil {
		return false, err
	}
	defer res.Body.Close() //nolint:errcheck // read only
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		return false, fmt.Errorf("the edge's answer: %w", err)
	}
	if !f.json {
		return false, nil
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return true, enc.Encode(v)
}

func newGB28181Devices() *cobra.Command {
	var f localFlags
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "设备列表，含待接入的未知设备 / devices, also unknown ones that wait to be let in",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var a devicesAnswer
			if done, err := f.get(cmd, http.MethodGet, "devices", nil, nil, &a); done || err != nil {
				return err
			}
			printDevices(cmd.OutOrStdout(), a)
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func printDevices(w io.Writer, a devicesAnswer) {
	waiting := 0
	for _, d := range a.Devices {
		if !d.Configured {
			waiting++
			continue
		}
		fmt.Fprintf(w, "%s  %-8s %-18s %s\n", d.ID, d.Registered.Value, d.Registered.Reason, d.Name)
		if d.Address != "" {
			fmt.Fprintf(w, "    %s %s  GB/T 28181 %s  %s\n", d.Transport, d.Address, orDash(d.Version), d.UserAgent)
		}
		if !d.LastSeen.IsZero() {
			fmt.Fprintf(w, "    最近 / heard %s ago, 心跳 / keepalive %.0f s\n", time.Since(d.LastSeen).Round(time.Second), d.Keepalive)
		}
		if q := a.Quirks[d.ID]; len(q) > 0 {
			fmt.Fprintf(w, "    偏差 / quirks %s\n", strings.Join(q, ", "))
		}
	}
	if waiting == 0 {
		return
	}
	fmt.Fprintf(w, "\n待接入设备 %d 台 / %d devices wait. 核实后写入 edge.gb28181.devices / when you know them, add under edge.gb28181.devices:\n", waiting, waiting)
	for _, d := range a.Devices {
		if d.Configured {
			continue
		}
		fmt.Fprintf(w, "# %s  %s  %d 次 / attempts, 最近 / last %s\n- id: %q\n  password: {env: GB_%s}\n",
			d.Address, d.UserAgent, d.Attempts, d.LastSeen.Format(time.DateTime), d.ID, d.ID[max(0, len(d.ID)-6):])
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func newGB28181Catalog() *cobra.Command {
	var f localFlags
	var refresh bool
	cmd := &cobra.Command{
		Use:   "catalog DEVICE",
		Short: "通道目录，与配置的差异和建议的配置 / channels, how they differ from the configuration, and what to write",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if refresh {
				query.Set("refresh", "true")
			}
			var a catalogueAnswer
			if done, err := f.get(cmd, http.MethodGet, "devices/"+url.PathEscape(args[0])+"/catalogue", query, nil, &a); done || err != nil {
				return err
			}
			printCatalogue(cmd.OutOrStdout(), a)
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&refresh, "refresh", false, "ask the device now")
	return cmd
}

func printCatalogue(w io.Writer, a catalogueAnswer) {
	cat := a.Catalogue
	if cat.At.IsZero() {
		fmt.Fprintln(w, "还没有目录 / no catalogue yet:", cat.Problem, "(--refresh)")
		return
	}
	state := "完整 / complete"
	if !cat.Complete {
		state = fmt.Sprintf("不完整 / incomplete: %d announced", cat.Announced)
	}
	fmt.Fprintf(w, "%s  %d 个条目 / entries, %s, %s\n", cat.Device, len(cat.Channels), state, cat.At.Local().Format(time.DateTime))
	for _, c := range cat.Channels {
		fmt.Fprintf(w, "%-20s  %-12s %-8s %-16s %s  %s\n", c.Item.DeviceID, c.Kind, c.Status.Value, c.Status.Reason, c.Item.Name, c.Village)
	}
	if len(a.Changes) == 0 {
		fmt.Fprintln(w, "\n与配置一致 / as configured")
		return
	}
	fmt.Fprintln(w, "\n与配置的差异 / differs from the configuration:")
	words := map[gb28181.ChangeKind]string{
		gb28181.ChangeNew: "未配置 / not configured", gb28181.ChangeGone: "目录里已没有 / no longer listed",
		gb28181.ChangeRenamed: "名称不同 / other name", gb28181.ChangeDivision: "区划不同 / other division",
	}
	for _, c := range a.Changes {
		fmt.Fprintf(w, "  %s  %s  %s  %s → %s\n", c.Channel, words[c.Kind], c.Camera, orDash(c.Configured), orDash(c.Reported))
	}
	if a.Proposal != "" {
		fmt.Fprintf(w, "\n建议写入 edge.cameras / proposed for edge.cameras:\n%s", a.Proposal)
	}
}

// personFlags say who does something at a device, and why.
type personFlags struct{ person }

func (p *personFlags) add(cmd *cobra.Command, reason string) {
	fl := cmd.Flags()
	fl.StringVar(&p.Unit, "unit", "", "单位，写入调用登记 / your unit, for the access register (required)")
	fl.StringVar(&p.Reason, "reason", reason, "事由 / reason: case, missing, disaster, traffic, repair, grid_event, subject, authority, drill, patrol")
	fl.StringVar(&p.CaseNo, "case", "", "案件、文书或事件编号 / number of the case, document or event")
	_ = cmd.MarkFlagRequired("unit") // the flag is there
	if reason == "" {
		_ = cmd.MarkFlagRequired("reason")
	}
}

// who completes the person by the user of this machine.
func (p *personFlags) who() (person, error) {
	u, err := user.Current()
	if err != nil {
		return person{}, fmt.Errorf("who are you: %w", err)
	}
	who := p.person
	who.Login, who.Name = u.Username, u.Name
	return who, nil
}

// operation begins what the register is told.
func (p person) operation(action, device, channel, command string) api.Operation {
	return api.Operation{
		Login: p.Login, Name: p.Name, Unit: p.Unit, Reason: p.Reason, CaseNo: p.CaseNo,
		Action: action, Device: device, Channel: channel, Command: command,
	}
}
