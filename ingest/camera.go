// Package ingest keeps the sources of all cameras open and says truthfully how
// each of them is. It makes access units and camera states; it decodes nothing
// and knows no protocol: RTSP, GB/T 28181 and files are Sources beside it.
package ingest

import (
	"fmt"
	"regexp"
)

// CameraID names one camera in the whole system. It is chosen by the operator
// or is the 20-digit GB/T 28181 ID, and is the only camera label in metrics.
type CameraID string

var cameraIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,32}$`)

// ParseCameraID checks that s is 1 to 32 of letters, digits and hyphens.
func ParseCameraID(s string) (CameraID, error) {
	if !cameraIDPattern.MatchString(s) {
		return "", fmt.Errorf("camera ID %q: use 1 to 32 letters, digits and hyphens", s)
	}
	return CameraID(s), nil
}

// Camera is the record of one camera (一机一档) as the center keeps it. It is
// identity and place only: no address, no credential, so it may travel and be
// shown.
type Camera struct {
	ID         CameraID `json:"id"`
	Name       string   `json:"name"`
	Division   string   `json:"division"`        // 12-digit administrative division code of the village
	Grid       string   `json:"grid,omitempty"`  // 15-digit grid code (division + 3), empty when unknown
	Point      string   `json:"point,omitempty"` // 点位: pole number; cameras that share it count once
	Place      string   `json:"place,omitempty"` // where it looks, in words
	LegalBasis string   `json:"legal_basis"`     // Order 799 basis: A7.1, A7.2, A9, A33 or unknown
	Purpose    string   `json:"purpose,omitempty"`
	Lon        *float64 `json:"lon,omitempty"`    // WGS-84 degrees, nil when unknown
	Lat        *float64 `json:"lat,omitempty"`    // WGS-84 degrees, nil when unknown
	Uplink     string   `json:"uplink,omitempty"` // the link it shares with its neighbours
	InUse      bool     `json:"in_use"`           // archive status 在用
}
