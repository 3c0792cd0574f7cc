package store

// ChangeKind says what changed; it is also the name of the browser's event.
type ChangeKind string

// The kinds of changes.
const (
	KindAlert  ChangeKind = "alert"
	KindCamera ChangeKind = "camera"
	KindEvent  ChangeKind = "event"
)

// Change says that a thing is not what it was. Seq grows with every change in
// the whole center and is kept with the data, so a browser that knows a number
// can ask for everything after it. Only the latest change of a thing is kept.
type Change struct {
	Kind ChangeKind
	ID   string // alert ID, camera ID or event number
	Seq  int64
}
