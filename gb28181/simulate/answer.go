package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// onMessage answers a MESSAGE: 200 first, what it asks for after that.
func (d *device) onMessage(m *message) *message {
	cmd, sn, id := element(m.body, "CmdType"), element(m.body, "SN"), element(m.body, "DeviceID")
	channel := ""
	if id != d.id {
		channel = id
	}
	switch root(m.body) {
	case "Query":
		d.event(channel, EventQuery, "%s", cmd)
		d.do(func(ctx context.Context) { d.answerQuery(ctx, query{cmd, sn, id}, m.body) })
	case "Control":
		d.control(channel, cmd, sn, id, m.body)
	case "Response": // of an alarm
	default:
		return m.answer(400, random())
	}
	return m.answer(200, random())
}

// query is what a question is about.
type query struct{ cmd, sn, id string }

// answerQuery sends the response to a query, in as many messages as it takes.
func (d *device) answerQuery(ctx context.Context, q query, body []byte) {
	respond := func(rest string) { d.transact(ctx, d.message(d.document("Response", q.cmd, q.sn, q.id, rest))) }
	switch q.cmd {
	case "Catalog":
		d.sendList(ctx, q, "DeviceList", "", d.catalogue())
	case "RecordInfo":
		d.sendList(ctx, q, "RecordList", node("Name", d.text(d.sim.opt.Name)), d.recordItems(q.id, body))
	case "DeviceInfo":
		respond(node("DeviceName", d.text(d.sim.opt.Name), "Result", "OK", "Manufacturer", "Simulated", "Model", "SIM-1",
			"Firmware", "V1.0", "Channel", strconv.Itoa(len(d.channels))))
	case "DeviceStatus":
		respond(node("Result", "OK", "Online", "ONLINE", "Status", "OK", "Encode", "ON", "Record", "ON",
			"DeviceTime", time.Now().In(beijing).Format(timeForm)) + d.duty())
	case "ConfigDownload":
		respond(node("Result", "OK") + "<BasicParam>\r\n" + node("Name", d.text(d.sim.opt.Name),
			"Expiration", strconv.Itoa(int(d.sim.opt.Expires/time.Second)), "HeartBeatInterval", strconv.Itoa(int(d.sim.opt.Keepalive/time.Second)), "HeartBeatCount", "3") + "</BasicParam>\r\n")
	case "PresetQuery":
		respond("<PresetList Num=\"1\">\r\n<Item>\r\n" + node("PresetID", "1", "PresetName", d.text("村口")) + "</Item>\r\n</PresetList>\r\n")
	case "HomePositionQuery":
		respond("<HomePosition>\r\n" + node("Enabled", "1", "ResetTime", "60", "PresetIndex", "1") + "</HomePosition>\r\n")
	case "SDCardStatus":
		respond(node("SumNum", "0") + "<SDCardStatusInfo Num=\"0\"/>\r\n")
	default:
		respond(node("Result", "ERROR"))
	}
}

// duty is the state of each alarm input: on guard or not.
func (d *device) duty() string {
	d.mu.Lock()
	state := "OFFDUTY"
	if d.guarded {
		state = "ONDUTY"
	}
	d.mu.Unlock()
	return "<Alarmstatus Num=\"1\">\r\n<Item>\r\n" + node("DeviceID", d.id, "DutyStatus", state) + "</Item>\r\n</Alarmstatus>\r\n"
}

// sendList sends items in parts; each waits for the answer to the one before
// (GB/T 28181-2022 annex M).
func (d *device) sendList(ctx context.Context, q query, list, before string, items []string) {
	size := d.sim.opt.PageSize
	var parts []string
	for i := 0; i < len(items); i += size {
		page := items[i:min(i+size, len(items))]
		parts = append(parts, fmt.Sprintf("<%s Num=\"%d\">\r\n%s</%s>\r\n", list, len(page), strings.Join(page, ""), list))
	}
	if len(parts) == 0 {
		parts = []string{fmt.Sprintf("<%s Num=\"0\">\r\n</%s>\r\n", list, list)}
	}
	if d.sim.opt.Shuffle {
		rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	}
	for _, part := range parts {
		body := d.document("Response", q.cmd, q.sn, q.id, before+node("SumNum", strconv.Itoa(len(items)))+part)
		if d.transact(ctx, d.message(body)) == nil {
			return
		}
	}
}

// catalogue returns the items of the channels.
func (d *device) catalogue() []string {
	items := make([]string, len(d.channels))
	for i, c := range d.channels {
		items[i] = "<Item>\r\n" + d.item(c) + "</Item>\r\n"
		if i == 1 && d.has(DuplicateIDs) {
			items[i] = strings.Replace(items[i], c.id, d.channels[0].id, 1)
		}
	}
	return items
}

// item writes one channel of the catalogue (annex A.2.1.9 of the 2022 text; the
// fields of 2016 for a device of that version).
func (d *device) item(c *channel) string {
	d.mu.Lock()
	status := c.status
	d.mu.Unlock()
	s := node("DeviceID", c.id, "Name", d.text(c.name), "Manufacturer", "Simulated", "Model", "SIM-1",
		"CivilCode", d.id[:6], "Address", d.text("模拟村口"), "Parental", "0", "ParentID", d.id, "RegisterWay", "1", "Secrecy", "0", "Status", status)
	if d.sim.opt.Version < "3.0" {
		return s + node("Owner", "Owner", "SafetyWay", "0") + "<Info>\r\n" + node("PTZType", "1") + "</Info>\r\n"
	}
	return s + node("SecurityLevelCode", "A") + "<Info>\r\n" + node("PTZType", "1", "StreamNumberList", "0/1", "GrassrootsCode", "100201") + "</Info>\r\n"
}

// controls are the commands in the order in which they are looked for, and
// whether a device answers them with a Response (GB/T 28181-2022 §9.3.1).
var controls = []struct {
	element  string
	answered bool
}{
	{"PTZCmd", false}, {"TeleBoot", false}, {"RecordCmd", true}, {"GuardCmd", true}, {"AlarmCmd", true},
	{"IFrameCmd", false}, {"IFameCmd", false}, {"DragZoomIn", false}, {"DragZoomOut", false}, {"HomePosition", true}, {"PTZPreciseCtrl", false},
}

// control obeys a command, as far as a device without a motor can.
func (d *device) control(channel, cmd, sn, id string, body []byte) {
	for _, c := range controls {
		value := element(body, c.element)
		if value == "" {
			continue
		}
		d.event(channel, EventControl, "%s=%s", c.element, strings.Join(strings.Fields(value), ""))
		switch c.element {
		case "GuardCmd":
			d.mu.Lock()
			d.guarded = value == "SetGuard"
			d.mu.Unlock()
		case "IFrameCmd", "IFameCmd":
			d.keyFrame(id)
		case "TeleBoot":
			select {
			case d.wake <- struct{}{}:
			default:
			}
		}
		if c.answered {
			d.do(func(ctx context.Context) {
				d.transact(ctx, d.message(d.document("Response", cmd, sn, id, node("Result", "OK"))))
			})
		}
		return
	}
	d.event(channel, EventControl, "%s", cmd)
	d.do(func(ctx context.Context) {
		d.transact(ctx, d.message(d.document("Response", cmd, sn, id, node("Result", "ERROR"))))
	})
}
