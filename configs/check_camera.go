package configs

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

func (l *loader) checkCamera(cam *Camera, defaults Stream, p *place) {
	l.checkAddress(cam, p)
	l.checkIdentity(cam, p)
	l.checkRates(cam.Settings, defaults, p.to("settings"))
	for i, mask := range cam.Masks {
		l.checkPolygon(mask, p.to("privacy_masks").item(i))
	}
	zones := make([]string, len(cam.Zones))
	for i, z := range cam.Zones {
		at := p.to("zones").item(i)
		l.checkPartID(z.ID, zones[:i], "zone", at, p.to("zones"))
		zones[i] = z.ID
		l.checkPolygon(z.Points, at.to("points"))
	}
	lines := make([]string, len(cam.Lines))
	for i, line := range cam.Lines {
		at := p.to("lines").item(i)
		l.checkPartID(line.ID, lines[:i], "line", at, p.to("lines"))
		lines[i] = line.ID
		if math.Hypot(line.A[0]-line.B[0], line.A[1]-line.B[1]) < 0.005 {
			l.wrong(at, "begins where it ends", "write a and b at least 0.005 apart")
		}
	}
	rules := make([]string, len(cam.Rules))
	for i := range cam.Rules {
		at := p.to("rules").item(i)
		l.checkPartID(cam.Rules[i].ID, rules[:i], "rule", at, p.to("rules"))
		rules[i] = cam.Rules[i].ID
		l.checkRule(cam.Rules[i], zones, lines, at)
	}
	if cam.LegalBasis == "A33" && len(cam.Rules) > 0 {
		l.wrong(p.to("rules"), "can never be met: legal_basis A33 is not a public place, and the camera is never connected", "remove the rules, or correct legal_basis")
	}
}

func (l *loader) checkAddress(cam *Camera, p *place) {
	l.resolve(&cam.Password, p.to("password"))
	for _, a := range []struct{ key, address string }{{"url", cam.URL}, {"substream_url", cam.SubstreamURL}} {
		if a.address == "" {
			continue
		}
		if what, remedy := checkAddress(a.address); what != "" {
			l.wrong(p.to(a.key), what, remedy)
		}
	}
	if cam.Password.Set() && cam.Username == "" {
		l.wrong(p.to("password"), "stands without a user", "add username")
	}
	if strings.HasPrefix(cam.URL, "file:") && (cam.Username != "" || cam.Password.Set()) {
		l.wrong(p.to("username"), "is of no use: the camera is a file", "remove username and password")
	}
	if IsGB28181(cam.URL) && (cam.Username != "" || cam.Password.Set()) {
		l.wrong(p.to("username"), "is of no use: a GB/T 28181 device logs in to us", "remove username and password; the device's password stands in edge.gb28181.devices")
	}
	if (cam.Settings.Stream == StreamSub || cam.Settings.Stream == StreamBoth) && cam.SubstreamURL == "" {
		l.wrong(p.join("settings.stream"), "asks for the substream, and the camera has none", "add substream_url, or write main")
	}
	tls := cam.TLS
	if (tls.CAFile != "" || tls.Fingerprint != "") && !strings.HasPrefix(cam.URL, "rtsps:") && !strings.HasPrefix(cam.SubstreamURL, "rtsps:") {
		l.wrong(p.to("tls"), "is of no use: the address is not rtsps://", "write rtsps:// in url, or remove tls")
	}
	l.checkCA(tls.CAFile, p.join("tls.ca_file"))
}

func (l *loader) checkIdentity(cam *Camera, p *place) {
	what, _ := checkDivision(cam.Division)
	sound := what == ""
	if sound && l.opt.Division != nil {
		if known, suggestion := l.opt.Division(cam.Division); !known {
			remedy := "write a code of the table, or name a table that has it in center.divisions_file"
			if suggestion != "" {
				remedy = `did you mean "` + suggestion + `"?`
			}
			l.wrong(p.to("division"), quote(cam.Division)+" is not in the table of divisions", remedy)
		}
	}
	if sound && cam.Grid != "" && !strings.HasPrefix(cam.Grid, cam.Division) {
		l.wrong(p.to("grid"), quote(cam.Grid)+" does not begin with the division", `write "`+cam.Division+`" and the 3 digits of the grid`)
	}
	if (cam.Lon == nil) != (cam.Lat == nil) {
		l.wrong(p, "has one of lon and lat", "write both or neither, WGS-84 degrees")
	}
}

// checkPartID notes an ID that was used before in the same list.
func (l *loader) checkPartID(id string, before []string, noun string, at, list *place) {
	for i, other := range before {
		if other == id && id != "" {
			l.wrong(at.to("id"), quote(id)+" is the ID of another "+noun+" of this camera too", l.firstAt(list.item(i).to("id")))
			return
		}
	}
}

func (l *loader) checkPolygon(points []Point, p *place) {
	for _, point := range points {
		if math.IsNaN(point[0]) {
			return // said already
		}
	}
	if len(points) < 3 {
		return // said already
	}
	if what := checkPolygon(points); what != "" {
		l.wrong(p, what, "write the corners in order around the area, each once")
	}
}

// ruleKeys are the keys that are not for every kind of rule, with the kinds they
// are for.
var ruleKeys = map[string][]string{
	"zones":      {kindZoneEntry, kindDwell, kindMotionInSchedule},
	"lines":      {kindLineCross},
	"direction":  {kindLineCross},
	"classes":    {kindZoneEntry, kindLineCross, kindDwell},
	"min_score":  {kindZoneEntry, kindLineCross, kindDwell},
	"min_height": {kindZoneEntry, kindLineCross, kindDwell},
	"frames":     {kindZoneEntry, kindLineCross, kindDwell, kindMotionInSchedule},
	"of":         {kindZoneEntry, kindLineCross, kindDwell, kindMotionInSchedule},
	"after":      {kindDwell, kindCameraFault},
}

func (l *loader) checkRule(r Rule, zones, lines []string, p *place) {
	fields := fieldsOf(reflect.TypeFor[Rule]())
	for _, key := range fields.keys {
		kinds, bound := ruleKeys[key]
		if !bound || r.Kind == "" || slices.Contains(kinds, r.Kind) || !slices.Contains(fields.byKey["kind"].enum, r.Kind) {
			continue
		}
		if !reflect.ValueOf(r).Field(fields.byKey[key].index).IsZero() {
			l.wrong(p.to(key), key+" has no meaning for a rule of kind "+r.Kind, "remove it; it is for "+strings.Join(kinds, ", "))
		}
	}
	switch {
	case r.Kind == kindLineCross && len(r.Lines) == 0:
		l.wrong(p, "is a line_cross without lines", meantIDs("lines", lines))
	case (r.Kind == kindZoneEntry || r.Kind == kindDwell) && len(r.Zones) == 0:
		l.wrong(p, "is a "+r.Kind+" without zones", meantIDs("zones", zones))
	}
	l.checkNames(r.Zones, zones, "zone", p.to("zones"))
	l.checkNames(r.Lines, lines, "line", p.to("lines"))
	l.checkNames(r.Classes, classes, "class", p.to("classes"))
	n, of := r, defaultRule(r.Kind)
	fill(&n, of)
	if r.Kind != kindCameraFault && n.Frames > n.Of {
		key := "frames"
		if r.Frames == 0 {
			key = "of"
		}
		l.wrong(p.to(key), fmt.Sprintf("frames (%d) is above of (%d)", n.Frames, n.Of), "frames of the last of instants must meet the rule: write frames at most as high")
	}
}

// meantIDs is the remedy for a rule that names no place to watch.
func meantIDs(key string, defined []string) string {
	if len(defined) == 0 {
		return "define " + key + " on the camera and name them here, " + key + ": [ID]"
	}
	return "add " + key + ": [" + strings.Join(defined, ", ") + "]"
}

// checkNames notes names that are not defined and names that stand twice. A
// name of the wrong form has been said already only for classes.
func (l *loader) checkNames(names, defined []string, noun string, p *place) {
	for i, name := range names {
		switch {
		case name == "":
		case slices.Contains(names[:i], name):
			l.wrong(p.item(i), noun+" "+quote(name)+" stands here twice", "keep one")
		case noun != "class" && !slices.Contains(defined, name):
			l.wrong(p.item(i), "there is no "+noun+" "+quote(name)+" on this camera", meant(name, defined))
		}
	}
}
