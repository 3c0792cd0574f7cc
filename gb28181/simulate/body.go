package simulate

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const xmlType = "Application/MANSCDP+xml"

// element returns the text of the first element of that name, "" without one.
// What the platform says to a device is ASCII.
func element(body []byte, name string) string {
	_, rest, ok := bytes.Cut(body, []byte("<"+name+">"))
	if !ok {
		return ""
	}
	text, _, ok := bytes.Cut(rest, []byte("</"+name+">"))
	if !ok {
		return ""
	}
	return strings.TrimSpace(string(text))
}

var rootName = regexp.MustCompile(`<(Query|Control|Notify|Response)\b`)

// root returns the name of the outermost element.
func root(body []byte) string {
	m := rootName.FindSubmatch(body)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// node writes elements one after the other: name, value, name, value. What is
// empty is left out.
func node(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(&b, "<%s>%s</%s>\r\n", pairs[i], pairs[i+1], pairs[i])
		}
	}
	return b.String()
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// text is a value that may hold anything.
func (d *device) text(s string) string {
	if d.has(BareXML) {
		return s + " A&B"
	}
	return escaper.Replace(s)
}

// document makes a body: the declaration, the root, the parts that every body
// has, and the rest, in the charset of the device.
func (d *device) document(root, cmdType, sn, id, rest string) []byte {
	label := d.sim.opt.Charset
	if d.has(GBKLie) {
		label = "UTF-8"
	}
	s := fmt.Sprintf("<?xml version=\"1.0\" encoding=\"%s\"?>\r\n<%s>\r\n%s%s</%s>\r\n",
		label, root, node("CmdType", cmdType, "SN", sn, "DeviceID", id), rest, root)
	if d.sim.opt.Charset == "UTF-8" && !d.has(GBKLie) {
		return []byte(s)
	}
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
	if err != nil {
		return []byte(s) // not UTF-8: a file name of the command line; it goes as it is
	}
	return b
}

// message makes a MESSAGE with that body.
func (d *device) message(body []byte) *message { return d.request("MESSAGE", xmlType, body) }

// nextSN returns the number of the device's next own message.
func (d *device) nextSN() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sn++
	return fmt.Sprint(d.sn)
}

func (d *device) keepalive() []byte {
	return d.document("Notify", "Keepalive", d.nextSN(), d.id, node("Status", "OK"))
}
