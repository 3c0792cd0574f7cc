package simulate

import (
	"fmt"
	"time"
)

// timeForm is how times stand in bodies, in the time of Beijing.
const timeForm = "2006-01-02T15:04:05"

var beijing = time.FixedZone("CST", 8*3600)

// recordItems returns the records of a channel that the query's time asks for:
// whole pieces of Options.RecordIn, counted from the hour, up to now.
func (d *device) recordItems(id string, body []byte) []string {
	from, errFrom := time.ParseInLocation(timeForm, element(body, "StartTime"), beijing)
	to, errTo := time.ParseInLocation(timeForm, element(body, "EndTime"), beijing)
	c := d.find(id)
	if c == nil || errFrom != nil || errTo != nil {
		return nil
	}
	length, now := d.sim.opt.RecordIn, time.Now()
	begin := now.Add(-d.sim.opt.Records).Truncate(length)
	var items []string
	for at := begin; at.Add(length).Before(now); at = at.Add(length) {
		end := at.Add(length)
		if !end.After(from) || !at.Before(to) {
			continue
		}
		items = append(items, "<Item>\r\n"+node("DeviceID", id, "Name", d.text(c.name),
			"FilePath", fmt.Sprintf("/record/%s/%d.ps", id, at.Unix()), "Address", "Address", "StartTime", at.In(beijing).Format(timeForm),
			"EndTime", end.In(beijing).Format(timeForm), "Secrecy", "0", "Type", "time", "FileSize", fmt.Sprint(int64(length/time.Second)*64<<10))+"</Item>\r\n")
	}
	return items
}
