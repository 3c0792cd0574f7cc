package alert

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// siteRule is the rule of the alerts of a SiteWatch. It stands in no file.
const siteRule = "site_down"

const (
	// siteShare is the part of an uplink's cameras that must be down.
	siteShare = 0.8
	// siteWindow bounds how far apart they may have gone down. It is shorter than
	// the time after which a single camera_fault opens by default.
	siteWindow = 20 * time.Second
	// siteSettle is how long nearly all must be back before the site is up: links
	// come and go, and that is one incident.
	siteSettle = 10 * time.Second
	// sitePatience is how long the others are waited for once the link is up.
	// Those that stay away then have a fault of their own.
	sitePatience = time.Minute
)

// SiteWatch makes one alert of many: when most cameras behind one uplink lose
// their frames at about the same time, the link is down and not the cameras. It
// is used by one goroutine at a time and blocks on nothing.
type SiteWatch struct {
	least int
	sites map[string]*site
	links map[ingest.CameraID]string
}

// site is one uplink.
type site struct {
	level  int                           // of its cameras' camera_fault rules, the most severe; 0: nobody asked
	down   map[ingest.CameraID]time.Time // since when; zero while it works
	open   *Alert
	ended  time.Time
	better time.Time // since when fewer than siteShare are down; zero while they are
}

// NewSiteWatch returns a watch that needs at least so many cameras to be down
// before it speaks of a site; below 2 means 3.
func NewSiteWatch(least int) *SiteWatch {
	if least < 2 {
		least = 3
	}
	return &SiteWatch{least: least, sites: map[string]*site{}, links: map[ingest.CameraID]string{}}
}

// Cameras names the cameras that there are from now on. Open alerts of uplinks
// that have none any more are closed.
func (w *SiteWatch) Cameras(cams []configs.Camera, at time.Time) []Alert {
	old := w.sites
	w.sites, w.links = map[string]*site{}, map[ingest.CameraID]string{}
	for _, c := range cams {
		id, link := ingest.CameraID(c.ID), ingest.UplinkOf(c)
		s := w.sites[link]
		if s == nil {
			s = &site{down: map[ingest.CameraID]time.Time{}}
			if before := old[link]; before != nil {
				s.open, s.ended, s.better = before.open, before.ended, before.better
			}
			w.sites[link] = s
		}
		w.links[id] = link
		s.down[id] = time.Time{}
		if before := old[link]; before != nil {
			s.down[id] = before.down[id]
		}
		for _, r := range c.Rules {
			if Kind(r.Kind) == CameraFault && (s.level == 0 || r.Level < s.level) {
				s.level = r.Level
			}
		}
	}
	var out []Alert
	for _, link := range slices.Sorted(maps.Keys(old)) {
		if w.sites[link] == nil {
			out = append(out, old[link].close(at)...)
		}
	}
	return append(out, w.Tick(at)...)
}

// State takes a changed state of a camera. Unknown is no proof of anything: a
// camera that is being tried again stays as it was.
func (w *SiteWatch) State(st ingest.State, at time.Time) []Alert {
	s := w.sites[w.links[st.Camera]]
	if s == nil {
		return nil
	}
	since, f := s.down[st.Camera], st.Frames
	switch {
	case f.Value == ingest.Yes, f.Reason == ingest.ReasonStopped, f.Reason == ingest.ReasonForbidden,
		st.Transport.Value != ingest.Yes && st.Transport.Reason == ingest.ReasonStopped:
		since = time.Time{}
	case f.Value == ingest.No && f.Reason != ingest.ReasonStarting && since.IsZero():
		if since = f.Since; since.IsZero() || since.After(at) {
			since = at
		}
	}
	s.down[st.Camera] = since
	return s.judge(w.links[st.Camera], w.least, at)
}

// Tick lets time pass. Call it about once a second, before the engines' own.
func (w *SiteWatch) Tick(at time.Time) []Alert {
	var out []Alert
	for _, link := range slices.Sorted(maps.Keys(w.sites)) {
		out = append(out, w.sites[link].judge(link, w.least, at)...)
	}
	return out
}

// Holds reports whether the camera's own fault is to be held back, because its
// site is down.
func (w *SiteWatch) Holds(id ingest.CameraID) bool {
	s := w.sites[w.links[id]]
	return s != nil && s.open != nil
}

// Stop closes everything that is open.
func (w *SiteWatch) Stop(at time.Time) []Alert {
	var out []Alert
	for _, link := range slices.Sorted(maps.Keys(w.sites)) {
		out = append(out, w.sites[link].close(at)...)
	}
	return out
}

// judge opens, keeps or closes the site's alert.
func (s *site) judge(link string, least int, at time.Time) []Alert {
	first, last, n := time.Time{}, time.Time{}, 0
	for _, since := range s.down {
		if since.IsZero() {
			continue
		}
		n++
		if first.IsZero() || since.Before(first) {
			first = since
		}
		if since.After(last) {
			last = since
		}
	}
	most := float64(n) >= siteShare*float64(len(s.down))
	if s.open == nil {
		if s.level == 0 || n < least || !most || !s.together(last, least) {
			return nil
		}
		return s.begin(link, n, first, at)
	}
	if most {
		s.better, s.open.Last = time.Time{}, at
		return nil
	}
	if s.better.IsZero() {
		s.better = at
	}
	wait := sitePatience
	if float64(n) <= (1-siteShare)*float64(len(s.down)) {
		wait = siteSettle
	}
	if at.Sub(s.better) < wait {
		return nil
	}
	return s.close(at)
}

// together reports whether enough of the cameras that are down went within
// siteWindow of the last: what broke over days is many faults.
func (s *site) together(last time.Time, least int) bool {
	n, all := 0, 0
	for _, since := range s.down {
		if since.IsZero() {
			continue
		}
		all++
		if last.Sub(since) <= siteWindow {
			n++
		}
	}
	return n >= least && float64(n) >= siteShare*float64(all)
}

func (s *site) begin(link string, n int, start, at time.Time) []Alert {
	if !s.ended.IsZero() && !start.After(s.ended) {
		start = at // the same start would be the same identity
	}
	var named ingest.CameraID // the first of them stands for the place
	for id, since := range s.down {
		if !since.IsZero() && (named == "" || id < named) {
			named = id
		}
	}
	s.open = &Alert{
		ID: NewID(named, siteRule, link, start), Camera: named, Rule: siteRule,
		RuleName: fmt.Sprintf("线路中断：%d 路摄像机 / site down: %d cameras", n, n), Kind: CameraFault,
		Zone: link, ZoneName: "线路 " + link[strings.IndexByte(link, ' ')+1:], Level: s.level, Phase: Opened,
		Start: start, Last: at, Received: at, Reason: ingest.ReasonUnreachable,
	}
	s.better = time.Time{}
	return []Alert{*s.open}
}

func (s *site) close(at time.Time) []Alert {
	if s.open == nil {
		return nil
	}
	a := *s.open
	end := a.Last
	a.Phase, a.End, a.Received = Closed, &end, at
	s.open, s.ended, s.better = nil, end, time.Time{}
	return []Alert{a}
}
