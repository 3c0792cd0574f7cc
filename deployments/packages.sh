#!/bin/sh
# Installs the Debian packages that are missing, by name, for one purpose:
#   packages.sh run     what building and running the program needs
#   packages.sh test    that, and what the tests need
#   packages.sh bench   that, and what the benchmarks need
# Quick when nothing is missing: it asks dpkg only. Needs root or sudo to install.
set -eu

run="gcc g++ pkg-config ca-certificates libopencv-dev libavcodec-dev libavutil-dev libswscale-dev redis-server"
test="$run postgresql prometheus ffmpeg opencv-doc chromium fonts-wqy-microhei python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-tools"

# The page's own checks need Node 18 or newer, from wherever it comes.
command -v node >/dev/null && command -v npm >/dev/null || test="$test nodejs npm"

case "${1:-}" in
run) want=$run ;;
test) want=$test ;;
bench) want="$test sip-tester" ;;
*) echo "usage: $0 run|test|bench" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null || {
	echo "This is not a Debian system. Install what these packages hold, then go on: $want" >&2
	exit 1
}
missing=""
for p in $want; do
	dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

sudo=""
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "Missing packages:$missing" >&2
		echo "Become root and run: apt-get install --no-install-recommends$missing" >&2
		exit 1
	}
	sudo="sudo"
fi
echo "==> Installing Debian packages:$missing"
# The gateway starts a redis-server of its own: the packaged service need not run.
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends $missing
