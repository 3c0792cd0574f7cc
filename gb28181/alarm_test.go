package gb28181

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
)

// TestAlarmTable walks all methods and types: what is no fault and no event of a
// place is a plain device alarm, behaviour of persons above all.
func TestAlarmTable(t *testing.T) {
	want := map[string]AlarmKind{
		"2-1": AlarmVideoLoss, "2-2": AlarmTamper, "2-3": AlarmDiskFull, "2-4": AlarmHot, "2-5": AlarmCold,
		"5-1": AlarmManual, "5-2": AlarmMotion, "5-3": AlarmObjectLeft, "5-4": AlarmObjectRemoved, "5-5": AlarmLine, "5-6": AlarmIntrusion, "5-13": AlarmOcclusion,
		"6-1": AlarmDiskFault, "6-2": AlarmFanFault,
	}
	for method := range 9 {
		for kind := range 20 {
			name := fmt.Sprintf("%d-%d", method, kind)
			m := meaning(method, kind)
			if k, known := want[name]; known {
				assert.Equal(t, k, m.kind, name)
				assert.NotEqual(t, AlarmPlain, m.class, name)
				continue
			}
			assert.Equal(t, alarmMeaning{AlarmPlain, AlarmDevice}, m, name)
		}
	}
}

// alarmsHeard collects what OnAlarm is told.
type alarmsHeard struct {
	mu   sync.Mutex
	list []DeviceAlarm
}

func (h *alarmsHeard) take(a DeviceAlarm) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, a)
}

func (h *alarmsHeard) all() []DeviceAlarm {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]DeviceAlarm(nil), h.list...)
}

func alarmBody(sn int, source, method, rest string) string {
	return fmt.Sprintf("<?xml version=\"1.0\" encoding=\"GB2312\" ?>\r\n<Notify>\r\n<CmdType>Alarm</CmdType>\r\n<SN>%d</SN>\r\n<DeviceID>%s</DeviceID>\r\n<AlarmPriority>1</AlarmPriority>\r\n<AlarmMethod>%s</AlarmMethod>\r\n<AlarmTime>%s</AlarmTime>\r\n%s</Notify>\r\n",
		sn, source, method, manscdp.FormatTime(time.Now()), rest)
}

// TestAlarmByMessage sends alarms by hand and checks what comes back, and what is
// made of them.
func TestAlarmByMessage(t *testing.T) {
	var h alarmsHeard
	p := start(t, Options{OnAlarm: h.take})
	channel, input := camID(1), "36092100001340000001"
	p.SetCameras([]configs.Camera{{ID: "gate", URL: "gb28181://" + cameraID + "/" + channel}, {ID: "yard", URL: "gb28181://" + cameraID + "/" + camID(2)}})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	a := newAssembly()
	feed(t, a, part(1, "<Item><DeviceID>"+input+"</DeviceID><Name>in</Name><ParentID>"+cameraID+"/"+camID(2)+"</ParentID></Item>"))
	p.shelves.of(cameraID).take(a, time.Now())
	for i, x := range []struct {
		name, source, method, rest string
		want                       DeviceAlarm
	}{
		{"intrusion at a channel", channel, "5", "<AlarmDescription>周界</AlarmDescription><Info><AlarmType>6</AlarmType><AlarmTypeParam><EventType>1</EventType></AlarmTypeParam></Info>",
			DeviceAlarm{Channel: channel, Camera: "gate", Class: AlarmEvent, Kind: AlarmIntrusion, Method: 5, Type: 6, Description: "周界"}},
		{"loitering stays without words", channel, "5", "<AlarmDescription>有人徘徊</AlarmDescription><Info><AlarmType>8</AlarmType></Info>",
			DeviceAlarm{Channel: channel, Camera: "gate", Class: AlarmPlain, Kind: AlarmDevice, Method: 5, Type: 8}},
		{"an alarm input that hangs at a channel", input, "2", "<Info><AlarmType>2</AlarmType></Info>",
			DeviceAlarm{Channel: input, Camera: "yard", Class: AlarmFault, Kind: AlarmTamper, Method: 2, Type: 2}},
		{"the device itself, of two cameras", cameraID, "6", "<Info><AlarmType>1</AlarmType></Info>",
			DeviceAlarm{Class: AlarmFault, Kind: AlarmDiskFault, Method: 6, Type: 1}},
		{"a channel that nobody configured", camID(7), "5", "<Info><AlarmType>2</AlarmType></Info>",
			DeviceAlarm{Channel: camID(7), Class: AlarmEvent, Kind: AlarmMotion, Method: 5, Type: 2}},
		{"no type", channel, "5", "", DeviceAlarm{Channel: channel, Camera: "gate", Class: AlarmPlain, Kind: AlarmDevice, Method: 5}},
	} {
		before := len(h.all())
		d.send(d.message(alarmBody(100+i, x.source, x.method, x.rest)))
		reply := d.getRequest("MESSAGE", "<CmdType>Alarm</CmdType>")
		assert.Contains(t, reply, "<Response>", x.name)
		assert.Contains(t, reply, fmt.Sprintf("<SN>%d</SN>\r\n<DeviceID>%s</DeviceID>\r\n<Result>OK</Result>", 100+i, x.source), x.name)
		d.answer(reply, 200, "", "")
		until(t, func() bool { return len(h.all()) > before }, "%s", x.name)
		got := h.all()[before]
		assert.WithinDuration(t, time.Now(), got.At, patience)
		assert.WithinDuration(t, got.At, got.DeviceTime, patience)
		got.At, got.DeviceTime = time.Time{}, time.Time{}
		x.want.Device, x.want.Priority = cameraID, 1
		assert.Equal(t, x.want, got, x.name)
	}
	for _, q := range []string{quirkAlarmSource, quirkAlarmType} {
		assert.Contains(t, p.QuirksOf(cameraID), q)
	}
}

// TestAlarmOnce lets the same alarm come twice, as devices do that are subscribed
// to and send a MESSAGE as well.
func TestAlarmOnce(t *testing.T) {
	var h alarmsHeard
	p := start(t, Options{OnAlarm: h.take})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	for sn := range 3 {
		d.send(d.message(alarmBody(sn+1, cameraID, "5", "<Info><AlarmType>2</AlarmType></Info>")))
		d.answer(d.getRequest("MESSAGE", "<Result>OK</Result>"), 200, "", "")
	}
	d.send(d.message(alarmBody(9, cameraID, "2", "<Info><AlarmType>1</AlarmType></Info>")))
	until(t, func() bool { return len(h.all()) >= 2 }, "two alarms")
	got := h.all()
	require.Len(t, got, 2, "every one is answered, a repeated one is told once")
	assert.Equal(t, AlarmMotion, got[0].Kind)
	assert.Equal(t, AlarmVideoLoss, got[1].Kind)
}

func TestRepeatsAreBounded(t *testing.T) {
	var r repeats
	now := time.Now()
	for n := range maxRepeats + 10 {
		assert.False(t, r.again(DeviceAlarm{Channel: camID(n), At: now}))
	}
	assert.LessOrEqual(t, len(r.last), maxRepeats)
	assert.True(t, r.again(DeviceAlarm{Channel: camID(maxRepeats + 9), At: now.Add(time.Second)}))
	assert.False(t, r.again(DeviceAlarm{Channel: camID(maxRepeats + 9), At: now.Add(time.Minute)}))
}

func TestClockOfADevice(t *testing.T) {
	p, err := New(Options{Config: defaultConfig()})
	require.NoError(t, err)
	d := deviceOf(cameraID)
	a := p.deviceAlarm(d, cameraID, &manscdp.Alarm{Method: 2, Type: 1, Time: time.Now().Add(-time.Hour)})
	assert.WithinDuration(t, time.Now(), a.At, time.Minute, "our clock counts")
	assert.WithinDuration(t, time.Now().Add(-time.Hour), a.DeviceTime, time.Minute)
	assert.Contains(t, p.profiles.list(d), quirkClock)
	assert.Equal(t, 4, a.Priority, "no priority is the lowest")
}

// TestPositionIsRefused drops a position unread, and says so once.
func TestPositionIsRefused(t *testing.T) {
	var logged logText
	p := start(t, Options{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
	require.Equal(t, 200, status(d.register("r", 3600)))
	for range 3 {
		d.send(d.message("<Notify><CmdType>MobilePosition</CmdType><SN>1</SN><DeviceID>" + cameraID + "</DeviceID><Longitude>115.123456</Longitude></Notify>"))
		require.Equal(t, 200, status(d.get()))
	}
	until(t, func() bool { return counterOf(t, p.bodies.positions) == 3 }, "three positions")
	assert.Equal(t, 1, strings.Count(logged.String(), "positions"))
	assert.NotContains(t, logged.String(), "115.123456")
}

// TestAlarmsNeedGuard plays a recorder that alarms only after SetGuard.
func TestAlarmsNeedGuard(t *testing.T) {
	for _, x := range []struct {
		name   string
		quirks []string
		want   bool
	}{{"without the quirk", nil, false}, {"with it", []string{quirkGuardFirst}, true}} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var h alarmsHeard
			p, err := New(Options{Config: boxConfig(x.quirks...), OnAlarm: h.take})
			require.NoError(t, err)
			b := boxedWith(t, p, simulate.Options{NeedsGuard: true})
			until(t, func() bool { return b.saw(simulate.EventSubscribed, "Alarm") > 0 }, "the last chore")
			assert.Equal(t, x.want, b.saw(simulate.EventControl, "GuardCmd=SetGuard") > 0)
			err = b.sim.Alarm(t.Context(), boxID, b.sim.Channels(boxID)[0], simulate.Alarm{Method: 5, Type: 6})
			if !x.want {
				assert.Error(t, err)
				return
			}
			require.NoError(t, err)
			until(t, func() bool { return len(h.all()) == 1 }, "the alarm")
			assert.Equal(t, AlarmIntrusion, h.all()[0].Kind)
			assert.Equal(t, b.sim.Channels(boxID)[0], h.all()[0].Channel)
		})
	}
}
