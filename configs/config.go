// Package configs holds every setting of the program: the structures, their
// defaults, strict loading, validation with file, line and column, the JSON
// Schema for editors, the difference between two files, and the sample files.
// It imports nothing of ours and reads nothing but the files it is told to.
//
// What a field may hold stands in its tags, for the loader and the schema alike:
// "limit" is the lowest and highest number, length of time or size, "items" the
// smallest and largest length of a list, "chars" the most characters of a text,
// "form" a name in the table of forms, enum in "jsonschema" the words allowed. A
// field without omitempty in "json" must be written. Defaults are in defaults.go.
package configs

import "time"

// Config is one configuration file. edge.yaml has the edge section, center.yaml
// the center section, a standalone file both.
type Config struct {
	Node     string  `yaml:"node" json:"node,omitempty" form:"node" jsonschema_description:"Name of this node in alerts and metrics. Default: the host name."`
	DataDir  string  `yaml:"data_dir" json:"data_dir,omitempty" form:"filled" jsonschema_description:"Folder for everything the program writes, relative to the working directory."`
	Timezone string  `yaml:"timezone" json:"timezone,omitempty" form:"filled" jsonschema_description:"IANA time zone of schedules and days."`
	Log      Log     `yaml:"log" json:"log,omitempty"`
	Redis    Redis   `yaml:"redis" json:"redis,omitempty"`
	Edge     *Edge   `yaml:"edge" json:"edge,omitempty"`
	Center   *Center `yaml:"center" json:"center,omitempty"`
}

// Log says how much is logged and in which form.
type Log struct {
	Level  string `yaml:"level" json:"level,omitempty" jsonschema:"enum=debug,enum=info,enum=warn,enum=error" jsonschema_description:"Least level that is logged."`
	Format string `yaml:"format" json:"format,omitempty" jsonschema:"enum=text,enum=json" jsonschema_description:"Form of a log line."`
}

// Redis names the server between edge and center. In standalone an empty
// Addresses starts a private redis-server on a Unix socket in DataDir.
type Redis struct {
	Addresses []string `yaml:"addresses,flow" json:"addresses,omitempty" items:"0..64" form:"filled" jsonschema_description:"host:port or unix:///path; several mean Sentinel (with master) or Cluster. Empty, in a file with edge and center: a private redis-server on a Unix socket in data_dir."`
	Master    string   `yaml:"master" json:"master,omitempty" jsonschema_description:"Name of the Sentinel master. Default: none."`
	Username  string   `yaml:"username" json:"username,omitempty" jsonschema_description:"User name. Default: none."`
	Password  Secret   `yaml:"password" json:"password,omitempty" jsonschema_description:"Password, by env or file. Default: none."`
	TLS       bool     `yaml:"tls" json:"tls,omitempty" jsonschema_description:"Connect by TLS, checked against the roots of the system. Default: false."`
	Stream    string   `yaml:"stream" json:"stream,omitempty" form:"filled" jsonschema_description:"Key of the Redis Stream."`
	Group     string   `yaml:"group" json:"group,omitempty" form:"filled" jsonschema_description:"Consumer group of the centers."`
}

// Location returns the zone of Timezone. It is time.UTC only for a Config that
// Load did not make and whose Timezone is not a zone.
func (c *Config) Location() *time.Location {
	loc, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return time.UTC
	}
	return loc
}
