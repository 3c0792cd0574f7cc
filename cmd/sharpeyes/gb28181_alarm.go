package main

import (
	"sync"
	"time"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/gb28181"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	// alarmQuiet closes a device's alarm: devices tell when one begins, and repeat
	// it while it lasts, but not when it ends.
	alarmQuiet = 30 * time.Second
	// maxDeviceAlarms bounds the open alarms of all devices; more are not raised.
	maxDeviceAlarms = 4096
)

// deviceAlarms turns what devices report into alerts: one incident for each
// camera (or device) and kind, as long as it is repeated.
type deviceAlarms struct {
	mu   sync.Mutex
	open map[alarmPlace]*alert.Alert
}

type alarmPlace struct {
	camera ingest.CameraID
	rule   string
}

// onAlarm takes an alarm of a device. What is said of a place by a camera that
// may not be analysed, or that is none of the configuration, raises nothing: the
// device's analysis needs a legal basis as ours does. A fault needs none.
func (d *platform) onAlarm(a gb28181.DeviceAlarm) {
	camera, fault := ingest.CameraID(a.Camera), a.Class == gb28181.AlarmFault
	if !fault && !d.mayJudge(a.Device, camera) {
		return
	}
	if camera == "" {
		camera = ingest.CameraID(a.Device) // of the recorder itself
	}
	d.edge.send(d.alarms.raise(camera, a))
	if a.Class == gb28181.AlarmEvent {
		d.edge.wake(camera, detect.WakeDevice) // our rules look for themselves
	}
}

func (d *platform) mayJudge(device string, camera ingest.CameraID) bool {
	for _, c := range d.camerasOf(device) {
		if c.id == camera {
			return c.lawful
		}
	}
	return false
}

// raise opens an incident, or prolongs the one that is open.
func (s *deviceAlarms) raise(camera ingest.CameraID, a gb28181.DeviceAlarm) []alert.Alert {
	place := alarmPlace{camera, "gb28181-" + string(a.Kind)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if open := s.open[place]; open != nil {
		open.Last = a.At
		return nil
	}
	if len(s.open) >= maxDeviceAlarms {
		return nil
	}
	made := alert.Alert{
		ID: alert.NewID(camera, place.rule, "", a.At), Camera: camera, Rule: place.rule, RuleName: a.Description, Kind: alert.DeviceAlarm,
		Level: a.Priority, Phase: alert.Opened, Start: a.At, Last: a.At, Received: a.At,
	}
	if a.Class == gb28181.AlarmFault {
		made.Kind, made.Reason = alert.CameraFault, ingest.Reason(a.Kind)
	}
	if s.open == nil {
		s.open = make(map[alarmPlace]*alert.Alert)
	}
	s.open[place] = &made
	return []alert.Alert{made}
}

// tick closes the incidents that nobody repeats.
func (s *deviceAlarms) tick(now time.Time) []alert.Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	var closed []alert.Alert
	for place, a := range s.open {
		if now.Sub(a.Last) < alarmQuiet {
			continue
		}
		end := a.Last
		a.Phase, a.End, a.Received = alert.Closed, &end, now
		closed = append(closed, *a)
		delete(s.open, place)
	}
	return closed
}
