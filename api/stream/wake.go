package stream

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/sharpeyes/sharpeyes/api"
)

// wakeChannel is where centers say that somebody looks at a camera: a Redis channel
// (PUBLISH, SUBSCRIBE), whose messages are the camera's ID and are kept for nobody.
func wakeChannel(stream string) string { return stream + ":wake" }

// Wake tells the edges on this stream that somebody looks at a camera. The edge that
// has the camera decodes all of its pictures for some seconds. edges is how many of
// them heard it, on one Redis; who did not hear it does nothing. It blocks for one
// answer of Redis.
func Wake(ctx context.Context, client redis.UniversalClient, stream string, camera api.CameraID) (edges int64, err error) {
	n, err := client.Publish(ctx, wakeChannel(stream), string(camera)).Result()
	if err != nil {
		return 0, fmt.Errorf("camera %s: wake: %w", camera, err)
	}
	return n, nil
}

// ListenWakes calls wake for each camera that somebody looks at, whether it is this
// edge's or not, until ctx is done; then it returns nil. While Redis is out of reach
// it goes on trying, and what is said meanwhile is not heard. wake must not block.
// Where Redis has access lists the user needs the channel STREAM:wake.
func ListenWakes(ctx context.Context, client redis.UniversalClient, stream string, log *slog.Logger, wake func(api.CameraID)) error {
	sub := client.Subscribe(ctx, wakeChannel(stream))
	defer sub.Close() //nolint:errcheck // nothing is to be saved
	messages := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, open := <-messages:
			if !open {
				return nil
			}
			id, err := api.ParseCameraID(m.Payload)
			if err != nil {
				log.Debug("a wake that names no camera", "bytes", len(m.Payload))
				continue
			}
			wake(id)
		}
	}
}
