// Package stream carries envelopes from edge to center and loses none of them.
// At the edge an Outbox makes each envelope durable on disk before anything
// else happens to it, and a Producer moves the outbox into a Redis stream. At
// the center a Consumer reads the stream in a consumer group and acknowledges
// what its handler has committed. Delivery is at least once: whoever handles
// envelopes drops doubles by alert ID and phase. The package knows no camera,
// no rule and no database; configuration reaches it as plain options.
package stream
