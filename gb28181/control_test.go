package gb28181

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
)

// TestControl sends every command to a simulated device of each edition.
func TestControl(t *testing.T) {
	for version, keyFrame := range map[string]string{"2.0": "IFameCmd=Send", "3.0": "IFrameCmd=Send"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			p, err := New(Options{Config: boxConfig()})
			require.NoError(t, err)
			b := boxedWith(t, p, simulate.Options{Version: version})
			channel := b.sim.Channels(boxID)[0]
			for _, x := range []struct {
				cmd  ControlCmd
				want string
			}{
				{ControlCmd{Kind: ControlPresetCall, Preset: 3}, "PTZCmd=A50F01820003003A"},
				{ControlCmd{Kind: ControlPresetSet, Preset: 3, Name: "桥"}, "PTZCmd=A50F018100030039"},
				{ControlCmd{Kind: ControlPresetDelete, Preset: 3}, "PTZCmd=A50F01830003003B"},
				{ControlCmd{Kind: ControlKeyFrame}, keyFrame},
				{ControlCmd{Kind: ControlGuard}, "GuardCmd=SetGuard"},
				{ControlCmd{Kind: ControlUnguard}, "GuardCmd=ResetGuard"},
				{ControlCmd{Kind: ControlAlarmReset, AlarmMethod: 5}, "AlarmCmd=ResetAlarm"},
				{ControlCmd{Kind: ControlRecordStart}, "RecordCmd=Record"},
				{ControlCmd{Kind: ControlRecordStop}, "RecordCmd=StopRecord"},
				{ControlCmd{Kind: ControlHome, Home: manscdp.HomePosition{Enabled: 1, ResetTime: 30, PresetIndex: 1}}, "HomePosition="},
				{ControlCmd{Kind: ControlReboot}, "TeleBoot=Boot"},
			} {
				require.NoError(t, p.Control(t.Context(), boxID, channel, x.cmd), "%s", x.cmd.Kind)
				until(t, func() bool { return b.saw(simulate.EventControl, x.want) > 0 }, "%s: %s", x.cmd.Kind, x.want)
			}
		})
	}
}

func TestAskKeyFrame(t *testing.T) {
	b := boxed(t, configs.GB28181{}, simulate.Options{})
	b.AskKeyFrame("44010200001110000009", "44010200001310000009") // nobody: nothing happens
	b.AskKeyFrame(boxID, b.sim.Channels(boxID)[0])
	until(t, func() bool {
		return b.saw(simulate.EventControl, "FrameCmd=Send")+b.saw(simulate.EventControl, "IFameCmd=Send") > 0
	}, "asked")
}

// TestMovementEnds is the dead-man's handle: a movement that nobody prolongs is
// stopped, one that somebody does goes on.
func TestMovementEnds(t *testing.T) {
	b := boxed(t, configs.GB28181{}, simulate.Options{})
	channel := b.sim.Channels(boxID)[0]
	right, stop := "PTZCmd="+manscdp.PTZ{Pan: 64}.String(), "PTZCmd="+manscdp.PTZ{}.String()
	began := time.Now()
	for range 3 { // three holds on end are one movement
		require.NoError(t, b.Control(t.Context(), boxID, channel, ControlCmd{Kind: ControlPTZ, Move: manscdp.PTZ{Pan: 64}, Hold: 700 * time.Millisecond}))
	}
	until(t, func() bool { return b.saw(simulate.EventControl, stop) > 0 }, "stop")
	assert.GreaterOrEqual(t, time.Since(began), 700*time.Millisecond)
	assert.Equal(t, 3, b.saw(simulate.EventControl, right))
	assert.Equal(t, 1, b.saw(simulate.EventControl, stop))

	require.NoError(t, b.Control(t.Context(), boxID, channel, ControlCmd{Kind: ControlLens, Lens: manscdp.Lens{Focus: 5}, Hold: time.Millisecond}))
	until(t, func() bool { return b.saw(simulate.EventControl, "PTZCmd="+manscdp.Lens{}.String()) > 0 }, "focus stops")
	b.movements.mu.Lock()
	defer b.movements.mu.Unlock()
	assert.Empty(t, b.movements.moving)
}

// TestMovementEndsWithThePlatform stops what moves when the program ends.
func TestMovementEndsWithThePlatform(t *testing.T) {
	p, err := New(Options{Config: defaultConfig()})
	require.NoError(t, err)
	p.onRegistered = nil // no chores: the far end of this test is deaf to them
	stop := run(t, p)
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	moved := make(chan error, 1)
	go func() {
		moved <- p.Control(context.Background(), cameraID, "", ControlCmd{Kind: ControlPTZ, Move: manscdp.PTZ{Tilt: 1}, Hold: holdMost})
	}()
	d.answer(d.getRequest("MESSAGE", manscdp.PTZ{Tilt: 1}.String()), 200, "", "")
	require.NoError(t, <-moved)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	d.answer(d.getRequest("MESSAGE", manscdp.PTZ{}.String()), 200, "", "")
	<-stopped
}

// TestControlRefused tells what a device says apart.
func TestControlRefused(t *testing.T) {
	p, err := New(Options{Config: defaultConfig()})
	require.NoError(t, err)
	p.onRegistered = nil
	run(t, p)
	assert.ErrorIs(t, p.Control(t.Context(), cameraID, "", ControlCmd{Kind: ControlGuard}), errOffline)
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	assert.Error(t, p.Control(t.Context(), cameraID, "", ControlCmd{Kind: "dance"}))
	assert.Error(t, p.Control(t.Context(), cameraID, "", ControlCmd{Kind: ControlPresetCall}))
	for _, x := range []struct {
		name, result string
		want         error
	}{{"done", "OK", nil}, {"refused", "ERROR", ErrRefused}} {
		result := make(chan error, 1)
		go func() {
			result <- p.Control(context.Background(), cameraID, camID(1), ControlCmd{Kind: ControlRecordStart})
		}()
		ask := d.getRequest("MESSAGE", "RecordCmd")
		assert.Contains(t, ask, "<DeviceID>"+camID(1)+"</DeviceID>", x.name)
		d.answer(ask, 200, "", "")
		sn := strings.Split(strings.Split(ask, "<SN>")[1], "</SN>")[0]
		d.send(d.message("<Response><CmdType>DeviceControl</CmdType><SN>" + sn + "</SN><DeviceID>" + camID(1) + "</DeviceID><Result>" + x.result + "</Result></Response>"))
		if err := <-result; x.want == nil {
			assert.NoError(t, err)
		} else {
			assert.ErrorIs(t, err, x.want)
		}
	}
}

// TestUnconfirmed gives up on an answer that never comes.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Config: defaultConfig()})
	require.NoError(t, err)
	p.onRegistered = nil
	run(t, p)
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	result := make(chan error, 1)
	go func() {
		result <- p.Control(context.Background(), cameraID, "", ControlCmd{Kind: ControlGuard})
	}()
	d.answer(d.getRequest("MESSAGE", "GuardCmd"), 200, "", "")
	assert.ErrorIs(t, <-result, ErrUnconfirmed)
	assert.Contains(t, p.QuirksOf(cameraID), quirkUnanswered)
}

// TestQueries reads what a device says of itself.
func TestQueries(t *testing.T) {
	b := boxed(t, configs.GB28181{}, simulate.Options{})
	info, err := b.DeviceInfo(t.Context(), boxID)
	require.NoError(t, err)
	assert.NotEmpty(t, info.Manufacturer)
	st, err := b.DeviceStatus(t.Context(), boxID, "")
	require.NoError(t, err)
	assert.Equal(t, "ONLINE", st.Online)
	require.Len(t, st.Alarms, 1)
	config, err := b.DeviceConfig(t.Context(), boxID, "", "BasicParam")
	require.NoError(t, err)
	require.NotNil(t, config.Basic)
	assert.Positive(t, config.Basic.HeartBeatInterval)
	_, err = b.Presets(t.Context(), boxID, b.sim.Channels(boxID)[0])
	assert.NoError(t, err)
	_, err = b.DeviceInfo(t.Context(), "36092100001180000099")
	assert.ErrorIs(t, err, errOffline)
}
