package configs

// Center is the part that keeps alerts and serves people.
type Center struct {
	Listen        string   `yaml:"listen" json:"listen,omitempty" form:"listen" jsonschema_description:"host:port of the API and the page."`
	TLSCert       string   `yaml:"tls_cert" json:"tls_cert,omitempty" jsonschema_description:"PEM file with the certificate, relative to the configuration file; with tls_key or not at all. Default: none, plain HTTP."`
	TLSKey        string   `yaml:"tls_key" json:"tls_key,omitempty" jsonschema_description:"PEM file with the key, relative to the configuration file. Default: none."`
	Database      string   `yaml:"database" json:"database,omitempty" form:"filled" jsonschema_description:"SQLite file, relative to data_dir; not used with postgres."`
	Postgres      Secret   `yaml:"postgres" json:"postgres,omitempty" jsonschema_description:"Address of a PostgreSQL database, postgres://user:password@host/database, by env or file: for several centers that share one. Default: none, SQLite."`
	Pictures      Pictures `yaml:"pictures" json:"pictures,omitempty"`
	DivisionsFile string   `yaml:"divisions_file" json:"divisions_file,omitempty" jsonschema_description:"CSV with code,name,kind, relative to the configuration file. Default: the built-in extract of Jiangxi."`
	MinPoints     int      `yaml:"min_points" json:"min_points,omitempty" limit:"1..1000" jsonschema_description:"Points that an administrative village must have (COV-1)."`
	SessionFor    Duration `yaml:"session_for" json:"session_for,omitempty" limit:"1m..30d" jsonschema_description:"A login lasts at most this long."`
	OfflineAfter  Duration `yaml:"offline_after" json:"offline_after,omitempty" limit:"10s..24h" jsonschema_description:"A camera whose edge is silent for this long is unknown."`
}

// Pictures names where the center keeps the pictures of alerts: a bucket of an
// S3-compatible object store, or with an empty Bucket the folder pictures in
// DataDir. Moving what is there is done by backup and restore.
type Pictures struct {
	Bucket    string `yaml:"bucket" json:"bucket,omitempty" jsonschema_description:"Bucket of an S3-compatible object store, which must exist. Default: none, the folder pictures in data_dir."`
	Endpoint  string `yaml:"endpoint" json:"endpoint,omitempty" jsonschema_description:"host:port of the object store, without http://; with bucket."`
	Region    string `yaml:"region" json:"region,omitempty" form:"filled" jsonschema_description:"Region that requests are signed for."`
	AccessKey Secret `yaml:"access_key" json:"access_key,omitempty" jsonschema_description:"Access key, by env or file; with bucket."`
	SecretKey Secret `yaml:"secret_key" json:"secret_key,omitempty" jsonschema_description:"Secret key, by env or file; with bucket."`
	Prefix    string `yaml:"prefix" json:"prefix,omitempty" jsonschema_description:"Put before the names of the objects, for example center/. Default: none."`
	TLS       bool   `yaml:"tls" json:"tls,omitempty" jsonschema_description:"Connect by TLS, checked against the roots of the system. Default: false."`
}
