package configs

import (
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// credentialRemedy is said wherever an address carries a user or a password.
const credentialRemedy = "write the address without them, the user in username, and the password in an environment variable or a file: password: {env: NAME} or password: {file: PATH}"

// checkAddress returns what is wrong with a camera's address and what to write
// instead, or two empty texts. It never repeats the address: a password may
// stand in it in ways that no parser sees.
func checkAddress(address string) (what, remedy string) {
	const form = `write rtsp://HOST[:PORT]/PATH, rtsps://HOST[:PORT]/PATH, gb28181://DEVICE/CHANNEL or file:./clip.h264`
	if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' }) {
		return "has a space in it", form
	}
	if !strings.HasPrefix(address, "file:") && (strings.Contains(address, "@") || Mask(address) != address) {
		return "carries a user or a password", credentialRemedy + "; an @ in the path is written %40"
	}
	u, err := url.Parse(address)
	if err != nil {
		return "is not an address", form
	}
	switch u.Scheme {
	case "file":
		if filePath(u) == "" {
			return "names no file", form
		}
		return "", ""
	case "gb28181":
		if _, err := ParseGB28181(address); err != nil {
			what, remedy, _ := strings.Cut(err.Error(), ": ")
			return what, remedy
		}
		return "", ""
	case "rtsp", "rtsps":
	case "":
		return "has no scheme", form
	default:
		return "has a scheme that no source reads", form
	}
	if u.Hostname() == "" {
		return "names no host", form
	}
	if port := u.Port(); port != "" && !isPort(port) || strings.HasSuffix(u.Host, ":") {
		return "has a port that is not 1..65535", form
	}
	if u.Fragment != "" {
		return "has a # in it", "write # as %23"
	}
	return "", ""
}

// filePath returns the path of a file: address, relative for file:PATH and
// file://./PATH.
func filePath(u *url.URL) string {
	switch {
	case u.Opaque != "":
		path, err := url.PathUnescape(u.Opaque)
		if err != nil {
			return ""
		}
		return path
	case u.Host != "" && u.Host != "localhost":
		return u.Host + u.Path
	}
	return u.Path
}

// absoluteFile returns a file: address with an absolute path, relative ones
// counted from dir, and every other address as it is.
func absoluteFile(address, dir string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "file" {
		return address
	}
	return (&url.URL{Scheme: "file", Path: resolvePath(filePath(u), dir)}).String()
}

// resolvePath counts a relative path from dir; "" stays "".
func resolvePath(path, dir string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// checkHostPort checks host:port; the host may be empty only if anyHost is
// true (it then means all addresses of the machine), and port 0 only then too
// (the system chooses).
func checkHostPort(text string, anyHost bool) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, "/@ ") {
		return errors.New("is not host:port")
	}
	if host == "" && !anyHost {
		return errors.New("names no host")
	}
	if !isPort(port) && (port != "0" || !anyHost) {
		return errors.New("has a port that is not 1..65535")
	}
	return nil
}
