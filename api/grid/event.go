// Package grid holds the grid events (网格事件): the work orders that people
// open from alerts, the states they go through, and who moved them. An alert
// never becomes an event by itself. It keeps its rows through api/store, in one
// transaction with the alert, and draws no picture and serves no page.
package grid

import "time"

// SourceAICamera is the source of every event that came from a video alert.
const SourceAICamera = "AI_CAMERA"

// Event is one work order. Its JSON form is that of the interchange with county
// platforms; it names posts and units, never a person who was seen.
type Event struct {
	No           string     `json:"eventNo"` // county (6) - day (8) - serial (6)
	CategoryCode string     `json:"categoryCode"`
	CategoryName string     `json:"categoryName"`
	Level        int        `json:"level"`   // hazard severity 1 (highest) to 4
	Urgency      string     `json:"urgency"` // "01" urgent (levels 1 and 2), "02" ordinary
	Source       string     `json:"source"`
	Title        string     `json:"title"`
	Description  string     `json:"description"`
	HappenTime   time.Time  `json:"happenTime"`
	DivisionCode string     `json:"divisionCode"`
	GridCode     string     `json:"gridCode,omitempty"`
	Address      string     `json:"address,omitempty"`
	Lon          *float64   `json:"lon,omitempty"` // WGS-84 degrees
	Lat          *float64   `json:"lat,omitempty"` // WGS-84 degrees
	CoordSys     string     `json:"coordSys,omitempty"`
	CameraID     string     `json:"cameraId"`
	AlertIDs     []string   `json:"alertIds"`
	Snapshot     *Snapshot  `json:"snapshot,omitempty"`
	ReporterPost string     `json:"reporterPost"`
	State        State      `json:"state"`
	DueAt        *time.Time `json:"dueAt,omitempty"`
	CreatedAt    time.Time  `json:"createdAt"`
	UpdatedAt    time.Time  `json:"updatedAt"`
	History      []Step     `json:"history"`
}

// Snapshot refers to the picture of the event's first alert. The bytes are
// fetched by the alert's ID and every look is registered.
type Snapshot struct {
	ID        string    `json:"id"` // the alert's ID
	Blurred   bool      `json:"blurred"`
	SHA256    string    `json:"sha256"`
	ExpiresAt time.Time `json:"expiresAt"` // when the bytes are deleted
}

// Step is one entry of an event's history.
type Step struct {
	At   time.Time `json:"at"`
	From State     `json:"from,omitempty"` // "" for the first
	To   State     `json:"to"`
	By   string    `json:"by"` // name of who moved it

	login string // of who moved it; two steps of one person are told by it
	Unit  string `json:"unit,omitempty"`
	Post  string `json:"post,omitempty"`
	Note  string `json:"note,omitempty"`
}
