package simulate

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// offer is what an INVITE asks for, from the lines of its SDP (RFC 4566 with
// the y= of GB/T 28181 annex F).
type offer struct {
	name       string // Play, Playback, Download
	remote     netip.AddrPort
	tcp        bool
	setup      string // of the platform: active, passive
	ssrc       string // ten digits, "" without y=
	start, end int64  // Unix seconds
	speed      int    // downloadspeed, at least 1
}

func parseOffer(body []byte) (offer, error) {
	o := offer{speed: 1}
	var ip string
	var port uint64
	for line := range strings.Lines(string(body)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		fields := strings.Fields(value)
		switch {
		case key == "s":
			o.name = value
		case key == "c" && len(fields) == 3:
			ip = fields[2]
		case key == "t" && len(fields) == 2:
			o.start, _ = strconv.ParseInt(fields[0], 10, 64)
			o.end, _ = strconv.ParseInt(fields[1], 10, 64)
		case key == "y":
			o.ssrc = value
		case key == "m" && len(fields) >= 3 && fields[0] == "video":
			port, _ = strconv.ParseUint(fields[1], 10, 16)
			o.tcp = strings.HasPrefix(fields[2], "TCP")
		case key == "a" && strings.HasPrefix(value, "setup:"):
			o.setup = strings.TrimPrefix(value, "setup:")
		case key == "a" && strings.HasPrefix(value, "downloadspeed:"):
			if n, err := strconv.Atoi(strings.TrimPrefix(value, "downloadspeed:")); err == nil && n > 1 {
				o.speed = min(n, 64)
			}
		}
	}
	a, err := netip.ParseAddr(ip)
	if err != nil || port == 0 {
		return offer{}, fmt.Errorf("names no address to send to")
	}
	o.remote = netip.AddrPortFrom(a, uint16(port))
	return o, nil
}

// answerSDP writes the answer to o. setup is "" for UDP.
func (d *device) answerSDP(o offer, channel string, local netip.AddrPort, setup, ssrc string) []byte {
	kind := "IP4"
	if local.Addr().Is6() {
		kind = "IP6"
	}
	proto := "RTP/AVP"
	if o.tcp {
		proto = "TCP/RTP/AVP"
	}
	lines := []string{
		"v=0", fmt.Sprintf("o=%s 0 0 IN %s %s", channel, kind, local.Addr()), "s=" + o.name,
		fmt.Sprintf("c=IN %s %s", kind, local.Addr()), fmt.Sprintf("t=%d %d", o.start, o.end),
		fmt.Sprintf("m=video %d %s 96", local.Port(), proto), "a=sendonly", "a=rtpmap:96 PS/90000",
	}
	if setup != "" {
		lines = append(lines, "a=setup:"+setup, "a=connection:new")
	}
	if o.name == "Download" {
		lines = append(lines, fmt.Sprintf("a=filesize:%d", int64(d.length(o)/time.Second)*64<<10))
	}
	if !d.has(NoSSRC) {
		lines = append(lines, "y="+ssrc)
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n")
}

// length is how long a history stream is, by its times.
func (d *device) length(o offer) time.Duration {
	return time.Duration(max(o.end-o.start, 0)) * time.Second
}
