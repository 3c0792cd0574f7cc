package configs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const gbRedis = "redis: {addresses: ['127.0.0.1:6379']}\n"

const gbSection = gbRedis + `
edge:
  gb28181:
    id: "36112700002000000001"
    devices:
      - {id: "36112700001180000001", open: true}
      - {prefix: "361127000013", open: true}
      - {prefix: "36112700001310", name: near, open: true}
`

func TestGB28181Defaults(t *testing.T) {
	c, err := loadText(gbSection)
	require.NoError(t, err)
	g := c.Edge.GB28181
	require.Equal(t, "127.0.0.1:5060", g.Listen, "loopback until somebody says otherwise")
	require.Equal(t, "3611270000", g.Domain())
	require.Equal(t, GB28181TCP, g.Transport)
	require.Equal(t, GB28181Wait, g.Unknown)
	first, last := g.Media.PortRange()
	require.Equal(t, []uint16{30000, 30100}, []uint16{first, last})

	d, ok := g.Device("36112700001310000009")
	require.True(t, ok)
	require.Equal(t, "near", d.Name, "the longest prefix goes first")
	_, ok = g.Device("36112700001180000002")
	require.False(t, ok)

	c, err = loadText(gbRedis + "edge: {}\n")
	require.NoError(t, err)
	require.Nil(t, c.Edge.GB28181, "without the section nothing listens")
}

func TestGB28181Refuses(t *testing.T) {
	t.Setenv("GB_TEST_PASSWORD", "hunter2")
	for name, c := range map[string]struct{ text, says string }{
		"short id":          {`edge: {gb28181: {id: "3611"}}`, "edge.gb28181.id"},
		"no id":             {`edge: {gb28181: {}}`, "id"},
		"id of a camera":    {`edge: {gb28181: {id: "36112700001310000001"}}`, "not the ID of a platform"},
		"port as listen":    {`edge: {gb28181: {id: "36112700002000000001", listen: "5060"}}`, "listen"},
		"ports upside":      {`edge: {gb28181: {id: "36112700002000000001", media: {ports: 30100-30000}}}`, "media.ports"},
		"port too high":     {`edge: {gb28181: {id: "36112700002000000001", media: {ports: "70000"}}}`, "media.ports"},
		"announce a name":   {`edge: {gb28181: {id: "36112700002000000001", media: {announce: gate.local}}}`, "media.announce"},
		"announce nothing":  {`edge: {gb28181: {id: "36112700002000000001", media: {announce: 0.0.0.0}}}`, "not an address to send to"},
		"transport":         {`edge: {gb28181: {id: "36112700002000000001", transport: tcp-pasive}}`, "tcp"},
		"no password":       {`edge: {gb28181: {id: "36112700002000000001", devices: [{id: "36112700001180000001"}]}}`, "has no password"},
		"password in file":  {`edge: {gb28181: {id: "36112700002000000001", devices: [{id: "36112700001180000001", password: hunter2}]}}`, "never stands in this file"},
		"open and closed":   {`edge: {gb28181: {id: "36112700002000000001", devices: [{id: "36112700001180000001", open: true, password: {env: GB_TEST_PASSWORD}}]}}`, "stands beside a password"},
		"twice":             {`edge: {gb28181: {id: "36112700002000000001", devices: [{prefix: "36112700", open: true}, {prefix: "36112700", open: true}]}}`, "stands here twice"},
		"neither":           {`edge: {gb28181: {id: "36112700002000000001", devices: [{open: true}]}}`, "names no device"},
		"both":              {`edge: {gb28181: {id: "36112700002000000001", devices: [{id: "36112700001180000001", prefix: "36112700", open: true}]}}`, "stands beside id"},
		"redirect nowhere":  {`edge: {gb28181: {id: "36112700002000000001", devices: [{prefix: "36112700", open: true, redirect: "10.0.0.2:5060"}]}}`, "write sip:ID@IP:PORT"},
		"redirect here":     {`edge: {gb28181: {id: "36112700002000000001", devices: [{prefix: "36112700", open: true, redirect: "sip:36112700002000000001@10.0.0.2:5060"}]}}`, "leads back to this platform"},
		"redirected camera": {`edge: {gb28181: {id: "36112700002000000001", devices: [{prefix: "36112700", open: true, redirect: "sip:36112700002000000002@10.0.0.2:5060"}]}, cameras: [{id: a, url: gb28181://36112700001180000001/36112700001320000001}]}`, "sent to another platform"},
		"short prefix":      {`edge: {gb28181: {id: "36112700002000000001", devices: [{prefix: "3611", open: true}]}}`, "8 to 19 digits"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(gbRedis + c.text + "\n")
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestGB28181Addresses(t *testing.T) {
	const device, channel = "36112700001180000001", "36112700001320000001"
	a, err := ParseGB28181("gb28181://" + device + "/" + channel + "?stream=1")
	require.NoError(t, err)
	require.Equal(t, GB28181Address{device, channel, 1}, a)
	_, err = ParseGB28181("gb28181://" + device + "/" + channel + "00")
	require.NoError(t, err, "a device with channel IDs of 22 digits")
	for _, bad := range []string{
		"rtsp://" + device + "/" + channel, "gb28181://" + device, "gb28181://" + device + "/", "gb28181://x/" + channel,
		"gb28181://" + device + "/" + channel + "/1", "gb28181://" + device + "/" + channel + "?stream=3",
		"gb28181://" + device + "/" + channel + "?stream=0&stream=1", "gb28181://" + device + "/" + channel + "?subtype=1",
		"gb28181://" + device + ":5060/" + channel, "gb28181://admin@" + device + "/" + channel, "gb28181://" + device + "/" + channel + "#a",
	} {
		_, err := ParseGB28181(bad)
		require.Error(t, err, bad)
	}
}

func TestGB28181Camera(t *testing.T) {
	cam := func(url, more string) string {
		return "  cameras:\n    - {id: g, name: g, division: '360921100001', url: '" + url + "'" + more + "}\n"
	}
	const good = "gb28181://36112700001180000001/36112700001320000001"
	_, err := loadText(gbSection + cam(good, ""))
	require.NoError(t, err)
	_, err = loadText(strings.TrimSuffix(gbSection, "\n") + "\n" + cam(good, ", username: admin"))
	require.ErrorContains(t, err, "logs in to us")
	_, err = loadText(gbSection + cam("gb28181://36112700001180000009/36112700001320000001", ""))
	require.ErrorContains(t, err, "may not register")
	_, err = loadText(gbRedis + "edge:\n" + cam(good, ""))
	require.ErrorContains(t, err, "no gb28181 section")
	_, err = loadText(gbSection + cam("gb28181://admin:hunter2@36112700001180000001/1", ""))
	require.ErrorContains(t, err, "carries a user or a password")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestGB28181DevicesInThePlan(t *testing.T) {
	before, err := loadText(gbSection)
	require.NoError(t, err)
	after, err := loadText(strings.Replace(gbSection, "name: near", "name: far", 1))
	require.NoError(t, err)
	require.Equal(t, []string{"edge.gb28181.devices[36112700001310*]"}, Diff(before, after).Devices)
	require.Empty(t, Diff(before, after).Settings, "taken without a restart")
	require.Equal(t, "change  edge.gb28181.devices[36112700001310*]\n", Diff(before, after).String())
}

func TestGB28181ChecksTLS(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, "a")
	writePair(t, dir, "b")
	try := func(section string) (*Config, error) {
		return load([]byte(strings.Replace(gbSection, "    devices:", "    tls: {"+section+"}\n    devices:", 1)), "f", dir, Options{})
	}
	c, err := try("cert: a.pem, key: a.key, client_ca: b.pem")
	require.NoError(t, err)
	require.Equal(t, GB28181TLS{
		Listen: "127.0.0.1:5061", Cert: filepath.Join(dir, "a.pem"), Key: filepath.Join(dir, "a.key"), ClientCA: filepath.Join(dir, "b.pem"),
	}, c.Edge.GB28181.TLS)
	other, err := try("cert: b.pem, key: b.key, client_ca: b.pem")
	require.NoError(t, err)
	require.Equal(t, []string{"edge.gb28181.tls.cert", "edge.gb28181.tls.key"}, Diff(c, other).Settings, "needs a restart")
	for section, says := range map[string]string{
		"cert: a.pem":                               "tls.cert: stands without key; add key, or remove cert to go without TLS",
		"key: a.key":                                "tls.key: stands without cert",
		"cert: a.pem, key: b.key":                   "tls.cert: and key are not a pair in PEM form; write the certificate chain",
		"cert: none.pem, key: a.key":                "tls.cert: cannot be read: there is no such file",
		"client_ca: a.pem":                          "tls.client_ca: stands without cert and key",
		"cert: a.pem, key: a.key, client_ca: a.key": "tls.client_ca: holds no certificate",
		"cert: a.pem, key: a.key, listen: 5061":     "tls.listen",
	} {
		_, err := try(section)
		require.ErrorContains(t, err, says, section)
	}
}
