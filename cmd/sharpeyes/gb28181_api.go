package main

import (
	"net/http"

	"github.com/sharpeyes/sharpeyes/gb28181"
)

// devicesAnswer is what `gb28181 devices` asks for.
type devicesAnswer struct {
	Devices []gb28181.Device    `json:"devices"`
	Quirks  map[string][]string `json:"quirks,omitempty"` // by device ID
}

// catalogueAnswer is what `gb28181 catalog` asks for.
type catalogueAnswer struct {
	Catalogue gb28181.Catalogue `json:"catalogue"`
	Changes   []gb28181.Change  `json:"changes"`
	Proposal  string            `json:"proposal"` // YAML
}

// newLocal makes the interface for commands.
func (e *edge) newLocal() *local {
	l := newLocal()
	l.mux.HandleFunc("GET "+localPrefix+"devices", e.localDevices)
	l.mux.HandleFunc("GET "+localPrefix+"devices/{device}/catalogue", e.localCatalogue)
	l.mux.HandleFunc("GET "+localPrefix+"devices/{device}/channels/{channel}/records", e.localRecords)
	l.mux.HandleFunc("POST "+localPrefix+"devices/{device}/channels/{channel}/download", e.localDownload)
	l.mux.HandleFunc("POST "+localPrefix+"devices/{device}/control", e.localControl)
	l.mux.HandleFunc("GET "+localPrefix+"devices/{device}/{what}", e.localLook)
	return l
}

func (e *edge) localDevices(w http.ResponseWriter, _ *http.Request) {
	answer := devicesAnswer{Devices: e.devices.Devices(), Quirks: map[string][]string{}}
	for _, d := range answer.Devices {
		if q := e.devices.QuirksOf(d.ID); len(q) > 0 {
			answer.Quirks[d.ID] = q
		}
	}
	answerLocal(w, answer)
}

func (e *edge) localCatalogue(w http.ResponseWriter, r *http.Request) {
	device := r.PathValue("device")
	if r.URL.Query().Get("refresh") == "true" {
		if err := e.devices.QueryCatalogue(r.Context(), device); err != nil {
			refuseLocal(w, http.StatusBadGateway, err)
			return
		}
	}
	answer := catalogueAnswer{Catalogue: e.devices.Channels(device), Proposal: e.devices.Propose(device)}
	for _, c := range e.devices.Changes() {
		if c.Device == device {
			answer.Changes = append(answer.Changes, c)
		}
	}
	answerLocal(w, answer)
}
