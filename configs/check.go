package configs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
	_ "time/tzdata" // time zones on systems that have none installed, such as slim containers
)

// check notes what is wrong with c beyond the single values: what belongs
// together, what excludes each other, and what the file refers to. c is as the
// file has it, without defaults.
func (l *loader) check(c *Config) {
	edge, center := (*place)(nil).to("edge"), (*place)(nil).to("center")
	if !l.doc.has(edge) && !l.doc.has(center) {
		l.wrong(nil, "has neither an edge nor a center section", "add edge: to pull cameras, center: to keep alerts and serve people, or both")
	}
	if c.Timezone != "" {
		// LoadLocation takes "Local" too, which is another zone on another machine.
		if _, err := time.LoadLocation(c.Timezone); err != nil || c.Timezone == "Local" {
			l.wrong((*place)(nil).to("timezone"), quote(c.Timezone)+" is not a time zone", "write an IANA name, for example Asia/Shanghai")
		}
	}
	l.checkRedis(c, l.doc.has(edge) != l.doc.has(center))
	if c.Edge != nil {
		l.checkEdge(c.Edge, edge)
	}
	if c.Center != nil {
		l.checkCenter(c.Center, center)
	}
}

// checkRedis checks the server between edge and center; needed is true when
// only one of them is in this file.
func (l *loader) checkRedis(c *Config, needed bool) {
	r, p := &c.Redis, (*place)(nil).to("redis")
	l.resolve(&r.Password, p.to("password"))
	written, isList := l.doc.items(l.doc.at(p.to("addresses")))
	if needed && len(written) == 0 && (isList || !l.doc.has(p.to("addresses"))) {
		l.wrong(p.to("addresses"), "names no Redis server, and this file has only one of edge and center", `write redis: {addresses: ["HOST:6379"]}`)
	}
	if r.Username != "" && !r.Password.Set() {
		l.wrong(p.to("username"), "has a user without a password", "add password: {env: NAME} or password: {file: PATH}")
	}
	sockets := 0
	for i, address := range r.Addresses {
		at := p.to("addresses").item(i)
		if path, ok := strings.CutPrefix(address, "unix://"); ok {
			sockets++
			if !strings.HasPrefix(path, "/") {
				l.wrong(at, "names a Unix socket by a relative path", "write unix:///PATH")
			}
			continue
		}
		if address == "" {
			continue // said already
		}
		if err := checkHostPort(address, false); err != nil {
			what, remedy := "is not host:port", "write HOST:6379 or unix:///PATH"
			if strings.Contains(address, "@") {
				what, remedy = "carries a user or a password", "write HOST:6379, and redis.username and redis.password: {env: NAME}"
			}
			l.wrong(at, what, remedy)
		}
	}
	if sockets > 0 && len(r.Addresses) > 1 {
		l.wrong(p.to("addresses"), "names a Unix socket among several addresses", "write one Unix socket, or host:port for each server")
	}
}

func (l *loader) checkEdge(e *Edge, p *place) {
	l.checkDetector(&e.Detector, p.to("detector"))
	l.checkRates(e.Defaults, Stream{}, p.to("defaults"))
	l.checkGB28181(e, p)
	ids := make(map[string]int, len(e.Cameras))
	for i := range e.Cameras {
		cam, at := &e.Cameras[i], p.to("cameras").item(i)
		if first, twice := ids[cam.ID]; twice && cam.ID != "" {
			l.wrong(at.to("id"), quote(cam.ID)+" is the ID of another camera too", l.firstAt(p.to("cameras").item(first).to("id")))
		} else {
			ids[cam.ID] = i
		}
		l.checkCamera(cam, e.Defaults, at)
	}
}

// checkDetector checks the files of the detector, and that what describes an own
// model stands beside one.
func (l *loader) checkDetector(d *Detector, p *place) {
	l.checkReadable(d.LabelsFile, p.to("labels_file"))
	l.checkReadable(d.Library, p.to("onnxruntime_library"))
	if d.Library != "" && d.Runtime == RuntimeOpenCV {
		l.wrong(p.to("onnxruntime_library"), "stands beside runtime: opencv, which does not use it", "write runtime: onnxruntime or auto, or remove the key")
	}
	if d.OwnModel() {
		l.checkReadable(d.Model, p.to("model"))
		if len(d.Labels) > 0 && d.LabelsFile != "" {
			l.wrong(p.to("labels_file"), "stands beside labels", "keep one of the two")
		}
		return
	}
	for _, own := range []struct {
		key string
		set bool
	}{{"head", d.Head != ""}, {"labels", len(d.Labels) > 0}, {"labels_file", d.LabelsFile != ""}, {"input_size", d.InputSize != 0}} {
		if own.set {
			l.wrong(p.to(own.key), "describes an own model, and the model is a built-in one", "remove the key, or write the path of an ONNX file in detector.model")
		}
	}
}

// firstAt is the remedy for an ID that was used before, at p.
func (l *loader) firstAt(p *place) string {
	line := 0
	if tk := l.doc.find(p); tk != nil {
		line = tk.Position.Line
	}
	return fmt.Sprintf("give each its own; the first is on line %d", line)
}

// checkRates holds detect_fps against analyse_fps, each from s, then from
// above, then built in.
func (l *loader) checkRates(s, above Stream, p *place) {
	l.checkGate(s.Gate, above.Gate, p.to("gate"))
	if s.AnalyseFPS == 0 && s.DetectFPS == 0 {
		return
	}
	key := "detect_fps"
	if s.DetectFPS == 0 {
		key = "analyse_fps"
	}
	fill(&s, above)
	fill(&s, defaultStream())
	if s.DetectFPS > s.AnalyseFPS {
		l.wrong(p.to(key), fmt.Sprintf("detect_fps (%g) is above analyse_fps (%g)", s.DetectFPS, s.AnalyseFPS), "objects are looked for only at analysed instants: write detect_fps at most as high")
	}
}

// checkGate checks what two settings of a gate say together.
func (l *loader) checkGate(g, above Gate, p *place) {
	if g.Confirm == 0 && g.ConfirmOf == 0 {
		return
	}
	key := "confirm"
	if g.Confirm == 0 {
		key = "confirm_of"
	}
	fill(&g, above)
	fill(&g, defaultStream().Gate)
	if g.Confirm > g.ConfirmOf {
		l.wrong(p.to(key), fmt.Sprintf("confirm (%d) is above confirm_of (%d)", g.Confirm, g.ConfirmOf), "of the last confirm_of instants, confirm must show motion: write confirm at most as high")
	}
}

// checkReadable checks that the file that stands at p can be read; "" is none.
func (l *loader) checkReadable(path string, p *place) []byte {
	if path == "" {
		return nil
	}
	const remedy = "write the path of a file that this user may read; a relative one counts from the configuration file"
	info, err := os.Stat(resolvePath(path, l.dir))
	if err == nil && !info.Mode().IsRegular() {
		l.wrong(p, "is not a file", remedy)
		return nil
	}
	var data []byte
	if err == nil {
		data, err = readBounded(resolvePath(path, l.dir), 1<<20) // a megabyte proves it and holds any certificate
	}
	if err != nil {
		l.wrong(p, "cannot be read: "+whyUnreadable(err), remedy)
		return nil
	}
	return data
}

func (l *loader) checkCenter(c *Center, p *place) {
	l.checkReadable(c.DivisionsFile, p.to("divisions_file"))
	l.resolve(&c.Postgres, p.to("postgres"))
	l.checkPictures(&c.Pictures, p.to("pictures"))
	if strings.Contains(c.Database, "://") {
		l.wrong(p.to("database"), "is an address", "write the path of an SQLite file, relative to data_dir; an address of PostgreSQL, which holds a password, comes by postgres: {env: NAME}")
	}
	l.checkPair(c.TLSCert, c.TLSKey, p.to("tls_cert"), p.to("tls_key"), "to serve plain HTTP")
}

// checkPair checks a certificate and its key, at the places of the two, which
// stand together or not at all; without says what leaving them out is for.
func (l *loader) checkPair(cert, key string, certAt, keyAt *place, without string) {
	certName, keyName := certAt.key, keyAt.key
	switch {
	case cert != "" && key == "":
		l.wrong(certAt, "stands without "+keyName, "add "+keyName+", or remove "+certName+" "+without)
	case cert == "" && key != "":
		l.wrong(keyAt, "stands without "+certName, "add "+certName+", or remove "+keyName+" "+without)
	case cert != "":
		chain, secret := l.checkReadable(cert, certAt), l.checkReadable(key, keyAt)
		if chain == nil || secret == nil {
			return
		}
		if _, err := tls.X509KeyPair(chain, secret); err != nil {
			l.wrong(certAt, "and "+keyName+" are not a pair in PEM form", "write the certificate chain in "+certName+" and its own key in "+keyName)
		}
	}
}

// checkPictures checks that a bucket is named whole or not at all.
func (l *loader) checkPictures(c *Pictures, p *place) {
	l.resolve(&c.AccessKey, p.to("access_key"))
	l.resolve(&c.SecretKey, p.to("secret_key"))
	if c.Bucket == "" {
		if c.Endpoint != "" {
			l.wrong(p.to("endpoint"), "stands without bucket", "add bucket, or remove endpoint to keep pictures in data_dir")
		}
		return
	}
	if c.Endpoint == "" {
		l.wrong(p.to("bucket"), "stands without endpoint", "add endpoint: host:port of the object store")
	} else if _, port, err := net.SplitHostPort(c.Endpoint); err != nil || port == "" || strings.Contains(c.Endpoint, "/") {
		l.wrong(p.to("endpoint"), "is not host:port", "write for example 10.0.0.9:9000, and tls: true where the store speaks TLS")
	}
	for _, key := range []struct {
		name string
		set  bool
	}{{"access_key", c.AccessKey.Set()}, {"secret_key", c.SecretKey.Set()}} {
		if !key.set {
			l.wrong(p.to("bucket"), "stands without "+key.name, "add "+key.name+": {env: NAME} or {file: PATH}")
		}
	}
}

// checkCA checks that the file at p holds at least one certificate.
func (l *loader) checkCA(path string, p *place) {
	data := l.checkReadable(path, p)
	if data != nil && !x509.NewCertPool().AppendCertsFromPEM(data) {
		l.wrong(p, "holds no certificate in PEM form", "write a file that begins with -----BEGIN CERTIFICATE-----")
	}
}
