package gb28181

import (
	"context"
	"errors"
	"fmt"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

// ask sends a query about target, a channel or the device itself, and hands every
// answer to take until it says that it has all.
func (p *Platform) ask(ctx context.Context, d *device, target, cmdType string, payload manscdp.Payload, take func(manscdp.Message) (done bool)) error {
	if target == "" {
		target = d.id
	}
	sn := d.nextSN()
	body := p.encode(d, manscdp.Message{Root: manscdp.Query, CmdType: cmdType, SN: sn, DeviceID: target, Payload: payload})
	err := p.exchange(ctx, d, question{cmdType, sn, body, answerIdle}, func(m incoming) bool {
		msg, err := p.decode(m)
		return err == nil && take(msg)
	})
	if err != nil {
		return fmt.Errorf("device %s: %s: %w", d.id, cmdType, err)
	}
	return nil
}

// askOne asks for one answer with a payload of type T.
func askOne[T any](ctx context.Context, p *Platform, d *device, target, cmdType string, payload manscdp.Payload) (T, error) {
	var got T
	failed := false
	err := p.ask(ctx, d, target, cmdType, payload, func(m manscdp.Message) bool {
		if v, ok := any(m.Payload).(*T); ok {
			got = *v
		}
		failed = m.Result == "ERROR"
		return true
	})
	if err == nil && failed {
		err = fmt.Errorf("device %s: %s: %w", d.id, cmdType, ErrRefused)
	}
	return got, err
}

func (p *Platform) known(deviceID string) (*device, error) {
	if d := p.device(deviceID); d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("device %s: %w", deviceID, errOffline)
}

func (p *Platform) deviceInfo(ctx context.Context, d *device) (manscdp.DeviceInfo, error) {
	return askOne[manscdp.DeviceInfo](ctx, p, d, "", manscdp.CmdDeviceInfo, nil)
}

// DeviceInfo asks a device who made it. It blocks until the answer, at most 5 s
// after the device took the question.
func (p *Platform) DeviceInfo(ctx context.Context, deviceID string) (manscdp.DeviceInfo, error) {
	d, err := p.known(deviceID)
	if err != nil {
		return manscdp.DeviceInfo{}, err
	}
	info, err := p.deviceInfo(ctx, d)
	if err == nil {
		p.profiles.learnInfo(d.id, info)
	}
	return info, err
}

// DeviceStatus asks a device, or a channel of it, how it is.
func (p *Platform) DeviceStatus(ctx context.Context, deviceID, channel string) (manscdp.DeviceStatus, error) {
	d, err := p.known(deviceID)
	if err != nil {
		return manscdp.DeviceStatus{}, err
	}
	return askOne[manscdp.DeviceStatus](ctx, p, d, channel, manscdp.CmdDeviceStatus, nil)
}

// DeviceConfig reads parts of the configuration, "BasicParam" for instance, or
// several joined by "/". Several answers are put together; parts that the device
// does not send are missing without an error.
func (p *Platform) DeviceConfig(ctx context.Context, deviceID, channel, parts string) (manscdp.ConfigDownload, error) {
	var all manscdp.ConfigDownload
	d, err := p.known(deviceID)
	if err != nil {
		return all, err
	}
	heard := false
	err = p.ask(ctx, d, channel, manscdp.CmdConfigDownload, &manscdp.ConfigQuery{ConfigType: parts}, func(m manscdp.Message) bool {
		c, ok := m.Payload.(*manscdp.ConfigDownload)
		if !ok {
			return false
		}
		heard = true
		if c.Basic != nil {
			all.Basic = c.Basic
		}
		all.Settings = append(all.Settings, c.Settings...)
		return parts == "BasicParam"
	})
	if heard && errors.Is(err, errTimeout) {
		err = nil // how many answers come is said nowhere
	}
	return all, err
}

// Presets asks a camera for its stored positions.
func (p *Platform) Presets(ctx context.Context, deviceID, channel string) ([]manscdp.Preset, error) {
	d, err := p.known(deviceID)
	if err != nil {
		return nil, err
	}
	var list []manscdp.Preset
	err = p.ask(ctx, d, channel, manscdp.CmdPresetQuery, nil, func(m manscdp.Message) bool {
		ps, ok := m.Payload.(*manscdp.Presets)
		if ok {
			list = append(list, ps.List...)
		}
		return ok && len(list) >= ps.SumNum
	})
	return list, err
}

// HomePosition asks a camera for its home position; nil when it has none. Only
// devices of 2022 know the question.
func (p *Platform) HomePosition(ctx context.Context, deviceID, channel string) (*manscdp.HomePosition, error) {
	d, err := p.known(deviceID)
	if err != nil {
		return nil, err
	}
	r, err := askOne[manscdp.HomePositionReport](ctx, p, d, channel, manscdp.CmdHomePosition, nil)
	return r.Home, err
}
