package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

const password = "hunter2"

// holder keeps a configuration the way other packages do, where fmt calls no
// methods.
type holder struct {
	camera Camera
	config *Config
	secret Secret
}

func TestSecretIsNeverShown(t *testing.T) {
	s := SecretValue(password)
	require.Equal(t, password, s.Value())
	require.Equal(t, password, Secret{File: "f"}.With(password).Value())
	cam := Camera{ID: "a", Password: s}
	c := &Config{Redis: Redis{Password: s}, Edge: &Edge{Cameras: []Camera{cam}}}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%T"} {
		fmt.Fprintf(&shown, verb+" "+verb+" "+verb+" "+verb+" "+verb+"\n", s, &s, cam, c, []Secret{s})
		fmt.Fprintf(&shown, verb+" "+verb+"\n", holder{cam, c, s}, &holder{cam, c, s})
	}
	for _, v := range []any{s, cam, c} {
		inJSON, err := json.Marshal(v)
		require.NoError(t, err)
		inYAML, err := yaml.Marshal(v)
		require.NoError(t, err)
		shown.Write(inJSON)
		shown.Write(inYAML)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(h).Info("shown", "secret", s, "camera", cam, "config", c, "holder", holder{cam, c, s})
	}
	require.NoError(t, Print(&shown, c))
	shown.WriteString(Diff(nil, c).String() + Diff(&Config{}, c).String())
	require.NotContains(t, shown.String(), password)
	require.NotContains(t, shown.String(), fmt.Sprintf("%x", password))
	require.Contains(t, shown.String(), "password: \"***\"")

	require.Equal(t, "***", s.String())
	require.Equal(t, "configs.Secret{***}", fmt.Sprintf("%#v", s))
	require.Equal(t, "", Secret{}.String())
	require.Equal(t, "***", Secret{Env: "X"}.String(), "configured, though not resolved")
	require.True(t, Secret{}.IsZero())
	inJSON, err := json.Marshal(Secret{})
	require.NoError(t, err)
	require.Equal(t, "{}", string(inJSON))
	inYAML, err := yaml.Marshal(Secret{})
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(inYAML))
}

// withPassword is a sound camera with the given password.
func withPassword(text string) string { return camera("username: admin\npassword: " + text) }

func TestLoadResolvesSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	write("plain", password)
	write("line", password+"\n")
	write("windows", password+"\r\n")
	write("space", " "+password+" \n")
	write("lines", password+"\n"+password+"\n")
	write("empty", "\n")
	write("long", strings.Repeat(password, 1000))
	write("zero", password+"\x00")
	getenv := func(name string) string { return map[string]string{"GATE": password, "LINES": "a\nb"}[name] }
	tests := []struct{ name, text, value, what string }{
		{"environment", "{env: GATE}", password, ""},
		{"file", "{file: plain}", password, ""},
		{"file with a line end", "{file: line}", password, ""},
		{"file of Windows", "{file: windows}", password, ""},
		{"spaces belong to it", "{file: space}", " " + password + " ", ""},
		{"absolute path", "{file: " + filepath.Join(dir, "plain") + "}", password, ""},
		{"none", "{}", "", ""},
		{"both empty", "{env: '', file: ''}", "", ""},
		{"both", "{env: GATE, file: plain}", "", "names both"},
		{"unset", "{env: hunter2}", "", "environment variable that is not set"},
		{"environment of two lines", "{env: LINES}", "", "several lines"},
		{"no file", "{file: hunter2}", "", "cannot be read: there is no such file"},
		{"a folder", "{file: .}", "", "cannot be read: is a directory"},
		{"two lines", "{file: lines}", "", "several lines"},
		{"empty file", "{file: empty}", "", "empty secret"},
		{"long file", "{file: long}", "", "more than 4096 bytes"},
		{"zero byte", "{file: zero}", "", "several lines"},
		{"in the file itself", "hunter2", "", "names no environment variable and no file"},
		{"quoted in the file itself", "'hunter2'", "", "names no environment variable and no file"},
		{"a number in the file itself", "112233", "", "names no environment variable and no file"},
		{"in a list", "[hunter2]", "", "names no environment variable and no file"},
		{"under another key", "{value: hunter2}", "", "a key other than env and file"},
		{"as a key", "{hunter2: ''}", "", "a key other than env and file"},
		{"as a key twice", "{hunter2: '', hunter2: ''}", "", "a key other than env and file"},
		{"as an alias", "*hunter2", "", "alias without an anchor"},
		{"as a tag", "!hunter2 x", "", "a YAML tag"},
		{"with an open quote", "\"hunter2", "", "could not find end"},
		{"with a colon", "hunter2: hunter2", "", "YAML syntax"},
		{"number as a path", "{file: 112233}", "", "is a number, not text"},
		{"too long as a name", "{env: " + strings.Repeat(password, 100) + "}", "", "characters"},
		{"with an escape", `{env: "hunter2\n"}`, "", "line end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load([]byte(withPassword(tt.text)), "f", dir, Options{Getenv: getenv})
			if tt.what == "" {
				require.NoError(t, err)
				require.Equal(t, tt.value, c.Edge.Cameras[0].Password.Value())
				return
			}
			require.ErrorContains(t, err, tt.what)
			require.Contains(t, err.Error(), "f:8:", "every problem is on the line of the password")
			require.NotContains(t, err.Error(), password)
			require.NotContains(t, err.Error(), "112233")
			require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), password)
		})
	}
	_, err := load([]byte(camera("password: {env: GATE}")), "f", dir, Options{Getenv: getenv})
	require.ErrorContains(t, err, "stands without a user")
	t.Setenv("SHARPEYES_TEST_SECRET", password)
	c, err := load([]byte(withPassword("{env: SHARPEYES_TEST_SECRET}")), "f", dir, Options{})
	require.NoError(t, err)
	require.Equal(t, password, c.Edge.Cameras[0].Password.Value(), "os.Getenv is the default")
}

func TestLoadRefusesCredentialsInAddresses(t *testing.T) {
	for _, address := range []string{
		"rtsp://admin:hunter2@192.0.2.1/live",
		"rtsp://admin:hunter2@192.0.2.1:554/live?x=1",
		"rtsp://admin@192.0.2.1/live",
		"rtsp://:hunter2@192.0.2.1/live",
		"rtsp://admin:hunt@er2hunter2@192.0.2.1/live",
		"rtsp://admin:hunter2/x@192.0.2.1/live",
		"rtsp://admin:12/hunter2@192.0.2.1/live",
		"rtsp://admin:hunter2#x@192.0.2.1/live",
		"rtsp://admin:hunter2?x@192.0.2.1/live",
		"rtsp://admin:%zzhunter2@192.0.2.1/live",
		"rtsp:/admin:hunter2@192.0.2.1/live",
		"http://admin:hunter2@192.0.2.1/live",
		"admin:hunter2@192.0.2.1/live",
		"rtsp://192.0.2.1/user=admin&password=hunter2&channel=1",
		"rtsp://192.0.2.1/live?user=admin&PWD=hunter2",
		"rtsp://192.0.2.1/live?token=hunter2",
	} {
		for _, key := range []string{"url", "substream_url"} {
			text := camera("substream_url: '" + address + "'")
			if key == "url" {
				text = strings.Replace(camera(""), "rtsp://192.0.2.10/live", "'"+address+"'", 1)
			}
			_, err := loadText(text)
			require.ErrorContains(t, err, key+": carries a user or a password", address)
			require.ErrorContains(t, err, "password: {env: NAME} or password: {file: PATH}", address)
			require.NotContains(t, err.Error(), password, address)
		}
	}
	_, err := loadText(strings.Replace(camera(""), "rtsp://192.0.2.10/live", "'rtsp://admin:hunter2 @192.0.2.1/'", 1))
	require.ErrorContains(t, err, "has a space in it")
	require.NotContains(t, err.Error(), password)
	_, err = loadText("edge: {}\nredis: {addresses: ['redis://:hunter2@h:6379']}\n")
	require.ErrorContains(t, err, "redis.addresses[0]: carries a user or a password")
	require.NotContains(t, err.Error(), password)
	for _, sound := range []string{"rtsp://192.0.2.1/cam%401", "rtsp://[2001:db8::1]:554/live", "rtsp://192.0.2.1/user=admin&password=&channel=1", "rtsps://cam.example:322/a?b=c"} {
		_, err := loadText(strings.Replace(camera(""), "rtsp://192.0.2.10/live", "'"+sound+"'", 1))
		require.NoError(t, err, sound)
	}
}

// Whatever stands wrongly in a file near a password, no problem repeats it.
func TestProblemsMaskWhatTheyQuote(t *testing.T) {
	for _, text := range []string{
		"edge: {}\ncenter: {}\nnode: rtsp://a:hunter2@h/\n",
		"edge: {}\ncenter: {}\n'rtsp://a:hunter2@h/': 1\n",
		"edge: {}\ncenter: {}\ntimezone: 'rtsp://a:hunter2@h/'\n",
		"edge: {}\ncenter: {listen: 'a:hunter2@h:1'}\n",
		camera("legal_basis: password=hunter2"),
	} {
		_, err := loadText(text)
		require.Error(t, err)
		require.NotContains(t, err.Error(), password, text)
	}
}

func TestMask(t *testing.T) {
	for in, out := range map[string]string{
		"rtsp://admin:hunter2@h:554/a?b=c":            "rtsp://h:554/a?b=c",
		"rtsp://admin@h/a":                            "rtsp://h/a",
		"rtsp://h/a":                                  "rtsp://h/a",
		"dial rtsp://u:p@h/a: refused, rtsp://u:p@h2": "dial rtsp://h/a: refused, rtsp://h2",
		"rtsp://h/user=a&password=x&channel=1":        "rtsp://h/user=a&password=***&channel=1",
		"rtsp://h/?Token=x#y":                         "rtsp://h/?Token=***#y",
		"rtsp://u:a/b@c@h/x":                          "rtsp://h/x",
		"":                                            "",
		"file:///a/b.h264":                            "file:///a/b.h264",
		"rtsp://h/user=admin&password=&channel=1":     "rtsp://h/user=admin&password=&channel=1",
		"村口":                                          "村口",
	} {
		require.Equal(t, out, Mask(in), in)
	}
}
