package store

import (
	"maps"

	"github.com/sharpeyes/sharpeyes/api"
)

// rank orders phases. A phase that this program does not know, from a newer
// edge, counts as an update.
func rank(p api.Phase) int {
	switch p {
	case api.Opened:
		return 1
	case api.Closed:
		return 3
	}
	return 2
}

// newer says whether a tells a later part of the incident than b.
func newer(a, b *api.Alert) bool {
	if rank(a.Phase) != rank(b.Phase) {
		return rank(a.Phase) > rank(b.Phase)
	}
	if !a.Received.Equal(b.Received) {
		return a.Received.After(b.Received)
	}
	return a.Last.After(b.Last)
}

// merge makes one incident of two phases of it, whichever came first. It is
// commutative, associative and idempotent, so delivery twice or out of order
// leaves the same row; what is closed stays closed.
func merge(a, b api.Alert) api.Alert {
	if newer(&a, &b) {
		a, b = b, a
	}
	// b tells the later part: its words win, its extremes may not.
	m := b
	if a.Start.Before(m.Start) {
		m.Start = a.Start
	}
	if a.Last.After(m.Last) {
		m.Last = a.Last
	}
	if m.End == nil || (a.End != nil && a.End.After(*m.End)) {
		m.End = a.End
	}
	m.Score = max(a.Score, b.Score)
	if len(a.Classes) > 0 {
		m.Classes = maps.Clone(a.Classes)
		for class, n := range b.Classes {
			m.Classes[class] = max(m.Classes[class], n)
		}
	}
	// Boxes say what the picture shows, so they go with it; boxes alone are
	// never taken over, or it would matter which phase came first.
	if a.Picture != nil && (m.Picture == nil || laterPicture(a.Picture, m.Picture)) {
		m.Picture, m.Boxes = a.Picture, a.Boxes
	}
	return m
}

// laterPicture orders pictures by time; the hash decides between two of one
// moment, so that the answer does not depend on who came first.
func laterPicture(a, b *api.AlertPicture) bool {
	if !a.At.Equal(b.At) {
		return a.At.After(b.At)
	}
	return a.SHA256 > b.SHA256
}
