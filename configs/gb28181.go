package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// GB28181 makes an edge a platform of GB/T 28181: the cameras and recorders
// whose IDs stand in it register here, and are asked for streams.
type GB28181 struct {
	Listen    string          `yaml:"listen" json:"listen,omitempty" form:"listen" jsonschema_description:"host:port for SIP, UDP and TCP alike. Cameras reach it from their network: write the address of that interface."`
	ID        string          `yaml:"id" json:"id" form:"gb_id" jsonschema_description:"20-digit ID of this platform (type 200), in quotes; the devices have it as their server ID."`
	Realm     string          `yaml:"realm" json:"realm,omitempty" chars:"128" jsonschema_description:"SIP domain, the realm of passwords. Default: the first 10 digits of id."`
	Transport string          `yaml:"transport" json:"transport,omitempty" jsonschema:"enum=tcp,enum=udp,enum=tcp-active" jsonschema_description:"How media travels: tcp, the device connects to us; tcp-active, we connect to the device; udp."`
	Unknown   string          `yaml:"unknown" json:"unknown,omitempty" jsonschema:"enum=wait,enum=refuse" jsonschema_description:"A device that is not in devices: wait, it is refused and shown in the list of waiting devices; refuse, it is only counted."`
	TLS       GB28181TLS      `yaml:"tls" json:"tls,omitempty"`
	Media     GB28181Media    `yaml:"media" json:"media,omitempty"`
	Devices   []GB28181Device `yaml:"devices" json:"devices,omitempty" items:"0..20000"`
}

// GB28181TLS lets devices register by TLS too (GB/T 28181-2022 §8.2), where Cert
// is set. The files are read at the start.
type GB28181TLS struct {
	Listen   string `yaml:"listen" json:"listen,omitempty" form:"listen" jsonschema_description:"host:port for SIP by TLS, beside gb28181.listen. Used with cert only."`
	Cert     string `yaml:"cert" json:"cert,omitempty" jsonschema_description:"PEM file with the certificate that devices see, relative to the configuration file; with key or not at all. Default: none, no TLS."`
	Key      string `yaml:"key" json:"key,omitempty" jsonschema_description:"PEM file with the key, relative to the configuration file. Default: none."`
	ClientCA string `yaml:"client_ca" json:"client_ca,omitempty" jsonschema_description:"PEM file with the authorities of the devices' own certificates: one without such a certificate is not let in by TLS. Default: none, devices show their password only."`
}

// GB28181Media says where media arrives.
type GB28181Media struct {
	Listen   string `yaml:"listen" json:"listen,omitempty" form:"ip" jsonschema_description:"IP address that takes media, UDP and TCP."`
	Ports    string `yaml:"ports" json:"ports,omitempty" form:"ports" jsonschema_description:"One port that all streams share, told apart by SSRC, or FIRST-LAST: a port of its own for each stream."`
	Announce string `yaml:"announce" json:"announce,omitempty" form:"ip_or_none" jsonschema_description:"IP address that devices send to, when a router stands between. Default: listen, or where that is 0.0.0.0 the address that faces the device."`
}

// GB28181Device is one device that may register, or all whose IDs begin alike.
type GB28181Device struct {
	ID        string   `yaml:"id" json:"id,omitempty" form:"gb_id_or_none" jsonschema_description:"20-digit ID of the device, in quotes. Either id or prefix."`
	Prefix    string   `yaml:"prefix" json:"prefix,omitempty" form:"gb_prefix" jsonschema_description:"First 8 to 19 digits of the IDs of several devices, in quotes; the longest prefix goes first, an id before all. Either id or prefix."`
	Name      string   `yaml:"name" json:"name,omitempty" chars:"128" jsonschema_description:"Name as people know it. Default: none."`
	Password  Secret   `yaml:"password" json:"password,omitempty" jsonschema_description:"Password of the device, by env or file. Needed unless open is true."`
	Open      bool     `yaml:"open" json:"open,omitempty" jsonschema_description:"Let it register without a password: whoever knows the ID can pose as the device. Default: false."`
	Transport string   `yaml:"transport" json:"transport,omitempty" jsonschema:"enum=tcp,enum=udp,enum=tcp-active" jsonschema_description:"Overrides gb28181.transport for this device. Default: as there."`
	Redirect  string   `yaml:"redirect" json:"redirect,omitempty" form:"gb_platform" jsonschema_description:"Sends the device to another platform, sip:ID@IP:PORT, when it registers (302, GB/T 28181-2022). Default: it registers here."`
	Quirks    []string `yaml:"quirks,flow" json:"quirks,omitempty" items:"0..32" form:"quirk" jsonschema_description:"Known deviations of this device from the standard, by name, beyond those that are recognised. Default: none."`
}

// The words of GB28181.Transport and GB28181.Unknown.
const (
	GB28181TCP       = "tcp"        // the device connects to us: setup passive
	GB28181UDP       = "udp"        // RTP over UDP
	GB28181TCPActive = "tcp-active" // we connect to the device
	GB28181Wait      = "wait"       // unknown devices are listed
	GB28181Refuse    = "refuse"     // unknown devices are counted
)

// key names a device in a list: an ID or a prefix, which has fewer digits.
func (d GB28181Device) key() string {
	if d.ID != "" {
		return d.ID
	}
	return d.Prefix + "*"
}

// Domain returns the realm: as configured, else the first ten digits of the ID
// (GB/T 28181 annex E: centre code and industry).
func (g *GB28181) Domain() string {
	if g.Realm != "" || len(g.ID) < 10 {
		return g.Realm
	}
	return g.ID[:10]
}

// Device returns the entry that holds for a device ID: the one with this id,
// else the longest prefix. ok is false when none does.
func (g *GB28181) Device(id string) (d GB28181Device, ok bool) {
	for _, e := range g.Devices {
		if e.ID == id && id != "" {
			return e, true
		}
		if e.Prefix != "" && strings.HasPrefix(id, e.Prefix) && (!ok || len(e.Prefix) > len(d.Prefix)) {
			d, ok = e, true
		}
	}
	return d, ok
}

// PortRange returns the first and the last media port; they are equal for one
// shared port, and zero for text that Load did not check.
func (m GB28181Media) PortRange() (first, last uint16) {
	first, last, err := parsePorts(m.Ports)
	if err != nil {
		return 0, 0
	}
	return first, last
}

func parsePorts(text string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if errA != nil || errB != nil || b == 0 || (isRange && (a == 0 || a >= b)) {
		return 0, 0, errors.New("is neither a port nor a range FIRST-LAST of ports")
	}
	return uint16(a), uint16(b), nil
}

// gb28181Scheme begins the address of a camera behind GB/T 28181.
const gb28181Scheme = "gb28181://"

var (
	gbDeviceID  = regexp.MustCompile(`^[0-9]{20}$`)
	gbChannelID = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`) // devices with channel IDs of 22 digits exist
)

// GB28181Address is what a gb28181:// address of a camera says.
type GB28181Address struct {
	Device  string // 20 digits
	Channel string // 20 digits; some devices use other forms, up to 32 letters and digits
	Stream  int    // 0 main, 1 sub, 2 third stream
}

// IsGB28181 says whether a camera's address is a gb28181:// address.
func IsGB28181(address string) bool { return strings.HasPrefix(address, gb28181Scheme) }

// ParseGB28181 reads gb28181://DEVICE/CHANNEL[?stream=N]. The error says what to
// write.
func ParseGB28181(address string) (GB28181Address, error) {
	bad := func(what string) (GB28181Address, error) {
		return GB28181Address{}, fmt.Errorf("%s: write gb28181://DEVICE/CHANNEL[?stream=1], each the ID of 20 digits", what)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme+"://" != gb28181Scheme:
		return bad("is no gb28181:// address")
	case !gbDeviceID.MatchString(u.Host):
		return bad("names no device")
	case !gbChannelID.MatchString(strings.TrimPrefix(u.Path, "/")):
		return bad("names no channel")
	case u.User != nil || u.Fragment != "":
		return bad("has parts that mean nothing")
	}
	a := GB28181Address{Device: u.Host, Channel: strings.TrimPrefix(u.Path, "/")}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return bad("has a query that cannot be read")
	}
	for key, values := range query {
		if key != "stream" || len(values) != 1 {
			return bad("has a query other than stream")
		}
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 0 || n > 2 {
			return bad("has a stream other than 0, 1 or 2")
		}
		a.Stream = n
	}
	return a, nil
}

// checkGB28181 checks the platform section, and that each camera behind GB/T
// 28181 can ever connect.
func (l *loader) checkGB28181(e *Edge, p *place) {
	at := p.to("gb28181")
	if g := e.GB28181; g != nil {
		if len(g.ID) == 20 && g.ID[10:13] != "200" {
			l.wrong(at.to("id"), "is not the ID of a platform: digits 11 to 13 are not 200", `write the type 200, for example "36112700002000000001"`)
		}
		l.checkGB28181TLS(g.TLS, at.to("tls"))
		l.checkAnnounce(g.Media, at.to("media"))
		l.checkGB28181Devices(g.Devices, at.to("devices"))
		for i, d := range g.Devices {
			if strings.HasPrefix(d.Redirect, "sip:"+g.ID+"@") {
				l.wrong(at.to("devices").item(i).to("redirect"), "leads back to this platform", "write the address of another one, or remove the key")
			}
		}
	}
	for i, cam := range e.Cameras {
		for _, a := range []struct{ key, address string }{{"url", cam.URL}, {"substream_url", cam.SubstreamURL}} {
			address, err := ParseGB28181(a.address)
			if err != nil {
				continue // another scheme, or said already
			}
			where := p.to("cameras").item(i).to(a.key)
			if e.GB28181 == nil {
				l.wrong(where, "is behind GB/T 28181, and edge has no gb28181 section", "add edge.gb28181; config sample edge shows one")
			} else if d, known := e.GB28181.Device(address.Device); !known {
				l.wrong(where, "names a device that may not register", `add it to edge.gb28181.devices: {id: "`+address.Device+`", password: {env: NAME}}`)
			} else if d.Redirect != "" {
				l.wrong(where, "names a device that is sent to another platform", "configure the camera there, or remove redirect from the device")
			}
		}
	}
}

// checkGB28181TLS checks that the files of TLS are there and belong together.
func (l *loader) checkGB28181TLS(t GB28181TLS, p *place) {
	l.checkPair(t.Cert, t.Key, p.to("cert"), p.to("key"), "to go without TLS")
	l.checkCA(t.ClientCA, p.to("client_ca"))
	if t.ClientCA != "" && t.Cert == "" && t.Key == "" {
		l.wrong(p.to("client_ca"), "stands without cert and key", "add the certificate of this platform and its key, or remove client_ca to go without TLS")
	}
}

// checkAnnounce refuses to announce an address that no device can send to.
func (l *loader) checkAnnounce(m GB28181Media, p *place) {
	if a, err := netip.ParseAddr(m.Announce); err == nil && a.IsUnspecified() {
		l.wrong(p.to("announce"), "is not an address to send to", "write the address that devices reach, or remove the key")
	}
}

func (l *loader) checkGB28181Devices(devices []GB28181Device, p *place) {
	seen := make(map[string]int, len(devices))
	for i := range devices {
		d, at := &devices[i], p.item(i)
		l.resolve(&d.Password, at.to("password"))
		switch {
		case d.ID == "" && d.Prefix == "":
			l.wrong(at, "names no device", `write id: "20 digits", or prefix: "8 to 19 digits"`)
		case d.ID != "" && d.Prefix != "":
			l.wrong(at.to("prefix"), "stands beside id", "keep one of the two")
		}
		switch {
		case d.Open && d.Password.Set():
			l.wrong(at.to("open"), "stands beside a password", "keep the password, or remove it to let the device in without")
		case !d.Open && !d.Password.Set():
			l.wrong(at, "has no password", "add password: {env: NAME} or {file: PATH}; open: true lets whoever knows the ID in")
		}
		if first, twice := seen[d.key()]; twice && d.key() != "*" {
			l.wrong(at, "stands here twice", l.firstAt(p.item(first)))
		} else {
			seen[d.key()] = i
		}
	}
}
