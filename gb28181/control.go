package gb28181

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

// Errors of commands that callers decide by.
var (
	// ErrUnconfirmed means that the device took a command and never said what came
	// of it.
	ErrUnconfirmed = errors.New("the device took the command and did not confirm it")

	// ErrRefused means that the device answered a command with an error.
	ErrRefused = errors.New("the device refused the command")
)

// ControlKind names a command.
type ControlKind string

// The commands.
const (
	ControlPTZ          ControlKind = "ptz"           // Move: pan, tilt, zoom; stops by itself
	ControlLens         ControlKind = "lens"          // Lens: focus, iris; stops by itself
	ControlPresetSet    ControlKind = "preset_set"    // Preset, Name
	ControlPresetCall   ControlKind = "preset_call"   // Preset
	ControlPresetDelete ControlKind = "preset_delete" // Preset
	ControlHome         ControlKind = "home"          // Home
	ControlKeyFrame     ControlKind = "key_frame"
	ControlGuard        ControlKind = "guard"       // 布防
	ControlUnguard      ControlKind = "unguard"     // 撤防
	ControlAlarmReset   ControlKind = "alarm_reset" // AlarmMethod, AlarmType
	ControlReboot       ControlKind = "reboot"
	ControlRecordStart  ControlKind = "record_start"
	ControlRecordStop   ControlKind = "record_stop"
)

// ControlCmd is one command: its kind, and the fields that the kind names.
type ControlCmd struct {
	Kind   ControlKind
	Move   manscdp.PTZ
	Lens   manscdp.Lens
	Hold   time.Duration // of a movement, until it is stopped; default 1 s, at most 10 s
	Preset uint8         // 1 to 255
	Name   string        // of a preset; only devices of 2022 keep it
	Home   manscdp.HomePosition

	AlarmMethod, AlarmType int // 0: of every one
}

// Bounds of commands.
const (
	holdDefault = time.Second
	holdMost    = 10 * time.Second
	maxMoving   = 1024 // channels that move at once
	stopWithin  = 5 * time.Second
	stopAtEnd   = 900 * time.Millisecond // when the platform stops too
)

// Control sends a command to a channel, or to the device itself with channel "".
// It blocks until the device has taken it (its 200) and, for the commands that the
// standard has it answer, confirmed it: ErrUnconfirmed when it did not in 5 s,
// ErrRefused when it said no. A movement is stopped after Hold unless the next
// one comes before: whoever steers need not live to stop it.
func (p *Platform) Control(ctx context.Context, deviceID, channel string, cmd ControlCmd) error {
	d := p.device(deviceID)
	if d == nil {
		return fmt.Errorf("device %s: %w", deviceID, errOffline)
	}
	err := p.control(ctx, d, channel, cmd)
	if err != nil {
		return fmt.Errorf("device %s: %s: %w", deviceID, cmd.Kind, err)
	}
	return nil
}

// AskKeyFrame asks a channel for a key frame now. It does not block, and nothing is
// said of a device that cannot: whoever asks sees whether one comes.
func (p *Platform) AskKeyFrame(deviceID, channel string) {
	p.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, stopWithin)
		defer cancel()
		if err := p.Control(ctx, deviceID, channel, ControlCmd{Kind: ControlKeyFrame}); err != nil {
			p.log.Debug("key frame asked for", "err", err)
		}
	})
}

func (p *Platform) control(ctx context.Context, d *device, channel string, cmd ControlCmd) error {
	order, err := cmd.order()
	if err != nil {
		return err
	}
	if channel == "" || cmd.ofDevice() && p.profiles.holds(d, quirkDeviceTarget) {
		channel = d.id
	}
	if cmd.moves() {
		if err := p.movements.hold(p, d, channel, cmd); err != nil {
			return err
		}
	}
	err = p.order(ctx, d, channel, order)
	p.bodies.controls.WithLabelValues(string(cmd.Kind), controlResult(err)).Inc()
	return err
}

// controlResult is the label of what came of a command.
func controlResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrUnconfirmed):
		return "unconfirmed"
	case errors.Is(err, ErrRefused):
		return "refused"
	}
	return "failed"
}

// order makes the element of a command.
func (c *ControlCmd) order() (manscdp.DeviceControl, error) {
	var o manscdp.DeviceControl
	switch c.Kind {
	case ControlPTZ:
		o.PTZCmd = c.Move.String()
	case ControlLens:
		o.PTZCmd = c.Lens.String()
	case ControlPresetSet, ControlPresetCall, ControlPresetDelete:
		code := map[ControlKind]manscdp.PresetCode{ControlPresetSet: manscdp.PresetSet, ControlPresetCall: manscdp.PresetCall, ControlPresetDelete: manscdp.PresetDelete}[c.Kind]
		if c.Preset == 0 {
			return o, errors.New("preset 0 does not exist: write 1 to 255")
		}
		o.PTZCmd = code.PTZCmd(c.Preset)
		if c.Kind == ControlPresetSet {
			o.PresetName = shorten(c.Name, 64)
		}
	case ControlHome:
		home := c.Home
		o.HomePosition = &home
	case ControlKeyFrame:
		o.KeyFrame = manscdp.Send
	case ControlGuard:
		o.GuardCmd = manscdp.SetGuard
	case ControlUnguard:
		o.GuardCmd = manscdp.ResetGuard
	case ControlAlarmReset:
		o.AlarmCmd = manscdp.ResetAlarm
		if c.AlarmMethod > 0 {
			o.AlarmMethod = strconv.Itoa(c.AlarmMethod)
		}
		if c.AlarmType > 0 {
			o.AlarmType = strconv.Itoa(c.AlarmType)
		}
	case ControlReboot:
		o.TeleBoot = manscdp.Boot
	case ControlRecordStart:
		o.RecordCmd = manscdp.StartRecord
	case ControlRecordStop:
		o.RecordCmd = manscdp.StopRecord
	default:
		return o, fmt.Errorf("command %q is unknown", c.Kind)
	}
	return o, nil
}

// ofDevice says whether some vendors take the command for the whole device only.
func (c *ControlCmd) ofDevice() bool {
	switch c.Kind {
	case ControlGuard, ControlUnguard, ControlAlarmReset, ControlReboot, ControlRecordStart, ControlRecordStop:
		return true
	}
	return false
}

// moves says whether the command starts a movement that must be stopped.
func (c *ControlCmd) moves() bool {
	return c.Kind == ControlPTZ && c.Move != manscdp.PTZ{} || c.Kind == ControlLens && c.Lens != manscdp.Lens{}
}

// order sends one DeviceControl and waits for what the standard has come back.
func (p *Platform) order(ctx context.Context, d *device, target string, order manscdp.DeviceControl) error {
	sn := d.nextSN()
	body := p.encode(d, manscdp.Message{Root: manscdp.Control, CmdType: manscdp.CmdDeviceControl, SN: sn, DeviceID: target, Payload: &order})
	if !order.Answered() {
		_, err := p.send(ctx, d, sip.MESSAGE, typeMANSCDP, body)
		return err
	}
	var result string
	err := p.exchange(ctx, d, question{manscdp.CmdDeviceControl, sn, body, answerIdle}, func(m incoming) bool {
		msg, err := p.decode(m)
		result = msg.Result
		return err == nil
	})
	switch {
	case errors.Is(err, errTimeout):
		p.profiles.saw(d.id, quirkUnanswered)
		return ErrUnconfirmed
	case err != nil:
		return err
	case result != "OK":
		return ErrRefused
	}
	return nil
}

// movements stop what somebody set in motion.
type movements struct {
	mu     sync.Mutex
	moving map[movement]chan time.Duration
}

// movement is one motor group of one channel: focus and iris stop apart from pan,
// tilt and zoom.
type movement struct {
	device, channel string
	lens            bool
}

// hold makes sure that a movement ends. A second command for the same motors
// prolongs the first.
func (ms *movements) hold(p *Platform, d *device, channel string, cmd ControlCmd) error {
	hold := cmd.Hold
	if hold <= 0 {
		hold = holdDefault
	}
	hold = min(hold, holdMost)
	k := movement{d.id, channel, cmd.Kind == ControlLens}
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if renew := ms.moving[k]; renew != nil {
		select {
		case <-renew: // the newest time counts
		default:
		}
		renew <- hold
		return nil
	}
	if len(ms.moving) >= maxMoving {
		return errors.New("too many cameras move at once")
	}
	renew := make(chan time.Duration, 1)
	if ms.moving == nil {
		ms.moving = make(map[movement]chan time.Duration)
	}
	ms.moving[k] = renew
	if !p.spawn(func(ctx context.Context) { ms.stop(ctx, p, d, k, hold, renew) }) {
		delete(ms.moving, k)
		return errStopping
	}
	return nil
}

// stop waits until nobody prolongs the movement any more, and ends it. It does so
// too when the platform stops.
func (ms *movements) stop(ctx context.Context, p *Platform, d *device, k movement, hold time.Duration, renew chan time.Duration) {
	timer := time.NewTimer(hold)
	defer timer.Stop()
	for moving := true; moving; {
		select {
		case hold = <-renew:
			timer.Reset(hold)
		case <-timer.C:
			moving = false
		case <-ctx.Done():
			moving = false
		}
	}
	ms.mu.Lock()
	delete(ms.moving, k)
	ms.mu.Unlock()
	order := manscdp.DeviceControl{PTZCmd: manscdp.PTZ{}.String()}
	if k.lens {
		order.PTZCmd = manscdp.Lens{}.String()
	}
	within := stopWithin
	if ctx.Err() != nil {
		within = stopAtEnd
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if err := p.order(limit, d, k.channel, order); err != nil {
		p.bodies.controls.WithLabelValues("stop", "failed").Inc()
		p.log.Warn("a camera was set in motion and could not be stopped", "device", d.id, "channel", k.channel, "err", err)
		return
	}
	p.bodies.controls.WithLabelValues("stop", "ok").Inc()
}
