package configs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func plain(ids ...string) *Config {
	c := &Config{Node: "n", Edge: &Edge{Listen: "l"}, Center: &Center{}}
	for _, id := range ids {
		c.Edge.Cameras = append(c.Edge.Cameras, Camera{
			ID: id, LegalBasis: "A7.1", Zones: []Zone{{ID: "z"}, {ID: "y"}}, Rules: []Rule{{ID: "r", Kind: "dwell", Zones: []string{"z"}}},
		})
	}
	return c
}

func TestDiff(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"nothing", func(*Config) {}, "nothing changes\n"},
		{"order of cameras", func(c *Config) {
			c.Edge.Cameras[0], c.Edge.Cameras[1] = c.Edge.Cameras[1], c.Edge.Cameras[0]
		}, "nothing changes\n"},
		{"what is written as the default", func(c *Config) { c.Edge.Cameras[0].Settings.Timeout = Duration(10 * time.Second) }, "nothing changes\n"},
		{"an empty list", func(c *Config) { c.Edge.Cameras[0].Lines = []Line{}; c.Redis.Addresses = []string{} }, "nothing changes\n"},
		{"a new camera", func(c *Config) { c.Edge.Cameras = append(c.Edge.Cameras, Camera{ID: "c"}) }, "start   camera c (new)\n"},
		{"a new camera that is disabled", func(c *Config) { c.Edge.Cameras = append(c.Edge.Cameras, Camera{ID: "c", Disabled: true}) }, "change  camera c (new, disabled)\n"},
		{"a camera gone", func(c *Config) { c.Edge.Cameras = c.Edge.Cameras[1:] }, "stop    camera a (removed)\n"},
		{"another place", func(c *Config) { c.Edge.Cameras[0].Place = "p" }, "change  camera a: place\n"},
		{"another timeout", func(c *Config) { c.Edge.Cameras[1].Settings.Timeout = Duration(time.Second) }, "change  camera b: settings.timeout\n"},
		{"another default", func(c *Config) { c.Edge.Defaults.Timeout = Duration(time.Second) }, "change  camera a: settings.timeout\nchange  camera b: settings.timeout\n"},
		{"a default that one camera overrides", func(c *Config) {
			c.Edge.Defaults.Timeout, c.Edge.Cameras[0].Settings.Timeout = Duration(time.Second), Duration(10*time.Second)
		}, "change  camera b: settings.timeout\n"},
		{"a secret", func(c *Config) { c.Edge.Cameras[0].Password = SecretValue("hunter2") }, "change  camera a: password\n"},
		{"rules and zones by ID", func(c *Config) {
			c.Edge.Cameras[0].Rules = []Rule{{ID: "r", Kind: "dwell", Zones: []string{"y"}}, {ID: "s", Kind: "dwell"}}
			c.Edge.Cameras[0].Zones = []Zone{{ID: "z"}}
		}, "change  camera a: zones[y], rules[r], rules[s]\n"},
		{"order of zones", func(c *Config) { c.Edge.Cameras[0].Zones = []Zone{{ID: "y"}, {ID: "z"}} }, "change  camera a: zones\n"},
		{"disabled", func(c *Config) { c.Edge.Cameras[0].Disabled = true }, "stop    camera a: disabled (disabled)\n"},
		{"not a public place", func(c *Config) { c.Edge.Cameras[0].LegalBasis = "A33" }, "stop    camera a: legal_basis (legal_basis A33 is never connected)\n"},
		{"longitude", func(c *Config) { x := 115.0; c.Edge.Cameras[0].Lon, c.Edge.Cameras[0].Lat = &x, &x }, "change  camera a: lon, lat\n"},
		{"settings", func(c *Config) {
			c.Node, c.Redis.Password, c.Edge.Detector.Threads, c.Center.Listen = "m", SecretValue("hunter2"), 2, "x"
		}, "restart node\nrestart redis.password\nrestart edge.detector.threads\nrestart center.listen\n"},
		{"no center any more", func(c *Config) { c.Center = nil }, "restart center\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			to := plain("a", "b")
			tt.change(to)
			p := Diff(plain("a", "b"), to)
			require.Equal(t, tt.want, p.String())
			require.Equal(t, tt.want == "nothing changes\n", p.Empty())
		})
	}
	off := plain("a")
	off.Edge.Cameras[0].Disabled = true
	require.Equal(t, "start   camera a: disabled\n", Diff(off, plain("a")).String())
	require.Equal(t, "change  camera a (removed, was not connected)\n", Diff(off, plain()).String())
	moved := plain("a")
	moved.Edge.Cameras[0].Disabled, moved.Edge.Cameras[0].Place = true, "p"
	require.Equal(t, "change  camera a: place (disabled)\n", Diff(off, moved).String())
	require.Equal(t, []CameraChange{{ID: "a", Note: "new"}, {ID: "b", Note: "new"}}, Diff(nil, plain("a", "b")).Start)
	require.Len(t, Diff(plain("a", "b"), nil).Stop, 2)
	require.True(t, Diff(nil, nil).Empty())
}
