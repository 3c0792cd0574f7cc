package simulate

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Alarm is what a device reports (GB/T 28181 annex A.2.5.3).
type Alarm struct {
	Priority    int    // 1 (highest) to 4; default 3
	Method      int    // 1 phone, 2 device, 3 SMS, 4 GPS, 5 video, 6 device fault, 7 other; default 5
	Type        int    // within the method: of video 2 motion, 6 intrusion …; 0: none
	Description string // default: none
}

// periodic are the alarms that Options.AlarmEvery goes round.
var periodic = []Alarm{
	{Method: 5, Type: 2, Description: "移动侦测"},
	{Method: 5, Type: 6, Description: "入侵检测"},
	{Method: 2, Type: 1, Description: "视频丢失"},
	{Method: 6, Type: 1, Description: "存储设备磁盘故障"},
}

// Alarm lets a device raise an alarm at a channel, or at itself when channel is
// "" . It goes as NOTIFY when the platform subscribed, else as MESSAGE. It waits
// for the platform's answer and returns an error when there is none, when the
// device is not registered, or not on guard and Options.NeedsGuard is set.
func (s *Simulator) Alarm(ctx context.Context, device, channel string, a Alarm) error {
	d := s.byID[device]
	if d == nil || d.id != device {
		return fmt.Errorf("simulate: no device %s", device)
	}
	if channel == "" {
		channel = device
	}
	return d.raise(ctx, channel, a)
}

func (d *device) raise(ctx context.Context, id string, a Alarm) error {
	d.mu.Lock()
	ready, guarded, sub := d.running != nil, d.guarded, d.subs["Alarm"]
	d.mu.Unlock()
	switch {
	case !ready:
		return fmt.Errorf("simulate: device %s is not registered", d.id)
	case d.sim.opt.NeedsGuard && !guarded:
		return fmt.Errorf("simulate: device %s is not on guard", d.id)
	}
	number := func(n, def int) string {
		if n == 0 {
			n = def
		}
		return strconv.Itoa(n)
	}
	rest := node("AlarmPriority", number(a.Priority, 3), "AlarmMethod", number(a.Method, 5),
		"AlarmTime", time.Now().In(beijing).Format(timeForm), "AlarmDescription", d.text(a.Description))
	if a.Type > 0 {
		rest += "<Info>\r\n" + node("AlarmType", strconv.Itoa(a.Type)) + "</Info>\r\n"
	}
	body := d.document("Notify", "Alarm", d.nextSN(), id, rest)
	channel := id
	if id == d.id {
		channel = ""
	}
	d.event(channel, EventAlarm, "method=%d type=%d", a.Method, a.Type)
	m := d.message(body)
	if sub != nil {
		m = d.notify(sub, body)
	}
	if r := d.transact(ctx, m); r == nil || r.status != 200 {
		return fmt.Errorf("simulate: device %s: the platform does not take the alarm", d.id)
	}
	return nil
}

// SetStatus changes the status of a channel as the catalogue says it (ON, OFF,
// VLOST, DEFECT) and notifies the platform if it subscribed to the catalogue.
func (s *Simulator) SetStatus(ctx context.Context, device, channel, status string) error {
	d := s.byID[device]
	if d == nil || d.find(channel) == nil {
		return fmt.Errorf("simulate: no channel %s at device %s", channel, device)
	}
	d.mu.Lock()
	c := d.find(channel)
	c.status = status
	if status != "ON" {
		c.status = "OFF"
	}
	sub := d.subs["Catalog"]
	d.mu.Unlock()
	if sub == nil {
		return nil
	}
	body := d.document("Notify", "Catalog", d.nextSN(), d.id,
		node("SumNum", "1")+"<DeviceList Num=\"1\">\r\n<Item>\r\n"+node("DeviceID", channel, "Event", status)+"</Item>\r\n</DeviceList>\r\n")
	if r := d.transact(ctx, d.notify(sub, body)); r == nil || r.status != 200 {
		return fmt.Errorf("simulate: device %s: the platform does not take the change of its catalogue", d.id)
	}
	return nil
}
