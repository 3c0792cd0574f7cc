package stream

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ClientOptions names a Redis and how to enter it.
type ClientOptions struct {
	Addresses []string // host:port, or unix:///path alone; several mean Sentinels (with Master) or the nodes of a Cluster
	Master    string   // name of the master that the Sentinels know; default none
	Username  string   // default none
	Password  string   // default none; never logged
	TLS       bool     // TLS 1.2 or newer against the system's roots; default false
}

// NewClient returns a client for one Redis, a set of Sentinels or a Cluster. It
// connects when it is first used. It does not repeat failed commands by itself:
// Producer and Consumer do that, visibly. The caller closes it.
func NewClient(o ClientOptions) redis.UniversalClient {
	const dial, io = 2 * time.Second, 3 * time.Second // together below the 5 s that a stop may take
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	var secure *tls.Config
	if o.TLS {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if len(o.Addresses) == 1 {
		if path, ok := strings.CutPrefix(o.Addresses[0], "unix://"); ok {
			return redis.NewClient(&redis.Options{
				Network: "unix", Addr: path, Username: o.Username, Password: o.Password,
				DialTimeout: dial, ReadTimeout: io, WriteTimeout: io, DialerRetries: 1, MaxRetries: -1,
				MaintNotificationsConfig: quiet,
			})
		}
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: o.Addresses, MasterName: o.Master, Username: o.Username, Password: o.Password, TLSConfig: secure,
		DialTimeout: dial, ReadTimeout: io, WriteTimeout: io, DialerRetries: 1, MaxRetries: -1,
		MaintNotificationsConfig: quiet,
	})
}

// RouteClientLog sends what the Redis library writes about its connections to
// log, at debug level: Producer and Consumer report the same trouble once, and
// in the words of their task. The library has one log for the whole process, so
// main calls this, once, before it makes a client.
func RouteClientLog(log *slog.Logger) { redis.SetLogger(clientLog{log}) }

type clientLog struct{ log *slog.Logger }

// Printf implements the library's logger.
func (l clientLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis client", "line", fmt.Sprintf(format, v...))
}
