package gb28181

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181/simulate"
)

// boxConfig lets in the simulated devices, with quirks if any are named.
func boxConfig(quirks ...string) configs.GB28181 {
	return configs.GB28181{Listen: "127.0.0.1:0", ID: serverID, Unknown: configs.GB28181Wait,
		Devices: []configs.GB28181Device{{Prefix: boxID[:13], Password: configs.SecretValue(secret), Quirks: quirks}}}
}

// deviceOf makes a device that never registered, with quirks from the configuration.
func deviceOf(id string, quirks ...string) *device {
	d := &device{id: id}
	d.config.Store(&configs.GB28181Device{ID: id, Quirks: quirks})
	return d
}

// boxedWith is boxed with a platform that the test has made.
func boxedWith(t testing.TB, p *Platform, opt simulate.Options) *box {
	t.Helper()
	run(t, p)
	b := &box{Platform: p}
	addr, err := p.Addr(t.Context())
	require.NoError(t, err)
	opt.Server, opt.ServerID, opt.FirstID, opt.Password = addr.String(), serverID, boxID, secret
	opt.OnEvent = func(e simulate.Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e)
	}
	b.sim, err = simulate.New(opt)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.sim.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	until(t, func() bool { return b.sim.Stats().Registered == int64(max(opt.Devices, 1)) }, "devices register")
	return b
}

// logText lets a test read what is being logged.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func counterOf(t testing.TB, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	require.NoError(t, c.Write(&m))
	return m.GetCounter().GetValue()
}
