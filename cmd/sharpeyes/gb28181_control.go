package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/gb28181"
)

// controlRequest is what `gb28181 control` sends.
type controlRequest struct {
	person
	Channel string   `json:"channel"` // "" for the device itself
	Words   []string `json:"words"`   // the command: "ptz", "left"
	Speed   int      `json:"speed"`   // 1 to 255
	Hold    string   `json:"hold"`    // of a movement, as time.ParseDuration reads it
}

// controlWords say what may be written after the channel.
const controlWords = "ptz left|right|up|down|in|out|stop, lens near|far|open|close|stop, preset call|set|delete N [NAME], home on|off [PRESET], iframe, guard, unguard, alarm-reset, record start|stop, reboot"

// simple are the commands of one or two words.
var simple = map[string]gb28181.ControlKind{
	"iframe": gb28181.ControlKeyFrame, "guard": gb28181.ControlGuard, "unguard": gb28181.ControlUnguard,
	"alarm-reset": gb28181.ControlAlarmReset, "reboot": gb28181.ControlReboot,
	"record start": gb28181.ControlRecordStart, "record stop": gb28181.ControlRecordStop,
}

// command makes the command of a request.
func (c *controlRequest) command() (gb28181.ControlCmd, error) {
	var cmd gb28181.ControlCmd
	all := strings.Join(c.Words, " ")
	if kind, ok := simple[all]; ok {
		cmd.Kind = kind
		return cmd, nil
	}
	var err error
	if cmd.Hold, err = time.ParseDuration(c.Hold); c.Hold != "" && err != nil {
		return cmd, fmt.Errorf("hold: %w", err)
	}
	if c.Speed < 1 || c.Speed > 255 {
		return cmd, errors.New("speed: write 1 to 255")
	}
	ok := false
	if len(c.Words) >= 2 {
		switch c.Words[0] {
		case "ptz":
			ok = move(&cmd, c.Words[1:], c.Speed)
		case "lens":
			ok = focus(&cmd, c.Words[1:], c.Speed)
		case "preset":
			ok = preset(&cmd, c.Words[1:])
		case "home":
			ok = home(&cmd, c.Words[1:])
		}
	}
	if !ok {
		return cmd, fmt.Errorf("%q is no command: write %s", all, controlWords)
	}
	return cmd, nil
}

func move(cmd *gb28181.ControlCmd, words []string, speed int) bool {
	cmd.Kind = gb28181.ControlPTZ
	m := &cmd.Move
	switch strings.Join(words, " ") {
	case "left":
		m.Pan = -speed
	case "right":
		m.Pan = speed
	case "up":
		m.Tilt = speed
	case "down":
		m.Tilt = -speed
	case "in":
		m.Zoom = max(speed/17, 1) // 4 bits
	case "out":
		m.Zoom = -max(speed/17, 1)
	case "stop":
	default:
		return false
	}
	return true
}

func focus(cmd *gb28181.ControlCmd, words []string, speed int) bool {
	cmd.Kind = gb28181.ControlLens
	l := &cmd.Lens
	switch strings.Join(words, " ") {
	case "near":
		l.Focus = speed
	case "far":
		l.Focus = -speed
	case "open":
		l.Iris = speed
	case "close":
		l.Iris = -speed
	case "stop":
	default:
		return false
	}
	return true
}

func preset(cmd *gb28181.ControlCmd, words []string) bool {
	kind, ok := map[string]gb28181.ControlKind{
		"call": gb28181.ControlPresetCall, "set": gb28181.ControlPresetSet, "delete": gb28181.ControlPresetDelete,
	}[words[0]]
	if !ok || len(words) < 2 {
		return false
	}
	n, err := strconv.ParseUint(words[1], 10, 8)
	cmd.Kind, cmd.Preset, cmd.Name = kind, uint8(n), strings.Join(words[2:], " ")
	return err == nil && n > 0 && (cmd.Name == "" || kind == gb28181.ControlPresetSet)
}

func home(cmd *gb28181.ControlCmd, words []string) bool {
	cmd.Kind = gb28181.ControlHome
	cmd.Home.ResetTime = 60
	if len(words) == 2 {
		n, err := strconv.ParseUint(words[1], 10, 8)
		if err != nil {
			return false
		}
		cmd.Home.PresetIndex = int(n)
	}
	if words[0] == "on" {
		cmd.Home.Enabled = 1
	}
	return len(words) <= 2 && (words[0] == "on" || words[0] == "off")
}

func (e *edge) localControl(w http.ResponseWriter, r *http.Request) {
	var ask controlRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&ask); err != nil {
		refuseLocal(w, http.StatusBadRequest, err)
		return
	}
	cmd, err := ask.command()
	device := r.PathValue("device")
	cam, known := e.devices.find(device, ask.Channel)
	if err == nil && known && !cam.connects {
		err = fmt.Errorf("camera %s is disabled or no public place (A33): it is never connected", cam.id)
	}
	if err != nil {
		refuseLocal(w, http.StatusBadRequest, err)
		return
	}
	op := ask.operation(string(audit.ActionControl), device, ask.Channel, strings.Join(ask.Words, " "))
	op.Camera = cam.id
	err = e.operate(op, func() error { return e.devices.Control(r.Context(), device, ask.Channel, cmd) })
	if err != nil {
		refuseLocal(w, http.StatusBadGateway, err)
		return
	}
	answerLocal(w, map[string]string{"result": "ok"})
}

// lookAnswer is what `gb28181 info` and `status` ask for: one of them is set.
type lookAnswer struct {
	Info   any `json:"info,omitempty"`
	Status any `json:"status,omitempty"`
	Config any `json:"config,omitempty"`
}

// localLook reads from a device what changes nothing there and shows nobody.
func (e *edge) localLook(w http.ResponseWriter, r *http.Request) {
	device, channel := r.PathValue("device"), r.FormValue("channel")
	var answer lookAnswer
	var err error
	switch r.PathValue("what") {
	case "info":
		answer.Info, err = e.devices.DeviceInfo(r.Context(), device)
	case "status":
		answer.Status, err = e.devices.DeviceStatus(r.Context(), device, channel)
	case "config":
		answer.Config, err = e.devices.DeviceConfig(r.Context(), device, channel, "BasicParam")
	default:
		refuseLocal(w, http.StatusNotFound, errors.New("there are info, status and config"))
		return
	}
	if err != nil {
		refuseLocal(w, http.StatusBadGateway, err)
		return
	}
	answerLocal(w, answer)
}

func newGB28181Control() *cobra.Command {
	var f localFlags
	var who personFlags
	var ask controlRequest
	cmd := &cobra.Command{
		Use:   "control DEVICE CHANNEL COMMAND… --unit UNIT",
		Short: "控制设备（写入调用登记） / control a device (access register)",
		Long:  "COMMAND is one of: " + controlWords + ".\nCHANNEL is - for the device itself. A movement stops by itself after --hold.",
		Args:  cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if ask.person, err = who.who(); err != nil {
				return err
			}
			ask.Words = args[2:]
			if args[1] != "-" {
				ask.Channel = args[1]
			}
			if _, err := ask.command(); err != nil {
				return err
			}
			var a map[string]string
			if done, err := f.get(cmd, http.MethodPost, "devices/"+url.PathEscape(args[0])+"/control", nil, ask, &a); done || err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "完成 / done")
			return nil
		},
	}
	f.add(cmd)
	who.add(cmd, string(audit.ReasonPatrol))
	cmd.Flags().IntVar(&ask.Speed, "speed", 64, "速度 / speed of a movement, 1 to 255")
	cmd.Flags().StringVar(&ask.Hold, "hold", "1s", "运动多久后自动停止 / a movement stops after this, at most 10s")
	return cmd
}

// newGB28181Look makes the commands that read from a device.
func newGB28181Look(what, short string) *cobra.Command {
	var f localFlags
	cmd := &cobra.Command{
		Use:   what + " DEVICE [CHANNEL]",
		Short: short,
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if len(args) == 2 {
				query.Set("channel", args[1])
			}
			f.json = true // the device's own words; there is no better form
			var a lookAnswer
			_, err := f.get(cmd, http.MethodGet, "devices/"+url.PathEscape(args[0])+"/"+what, query, nil, &a)
			return err
		},
	}
	cmd.Flags().StringVar(&f.dataDir, "data-dir", "./data", "data_dir of the running edge or standalone")
	return cmd
}
