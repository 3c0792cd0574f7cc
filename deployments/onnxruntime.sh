#!/bin/sh
# Installs the library of ONNX Runtime, which computes the detection models about
# three times as fast as OpenCV:
#   onnxruntime.sh [FOLDER]    default: bin, where the built program looks first
# The program runs without it. The library (MIT License, Microsoft) is the one inside
# the npm package named below (Apache License 2.0, k2-fsa/sherpa-onnx); version and
# SHA-256 are pinned here and in detect/onnx. Needs npm; quick when it is there.
set -eu

package=sherpa-onnx-linux-x64@1.13.8
sum=4b3607aebd1784b26b6f9b20e4bd974c7ab8287043e4d095cb7d2cb40b5e566e # ONNX Runtime 1.28.2
folder=${1:-"$(dirname "$0")/../bin"}
library=$folder/libonnxruntime.so

is_pinned() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$sum" ]; }

is_pinned "$library" && exit 0
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || {
	echo "There is no pinned library of ONNX Runtime for $(uname -s) on $(uname -m): OpenCV does the work. Name a library of your own in edge.detector.onnxruntime_library." >&2
	exit 1
}
command -v npm >/dev/null || {
	echo "npm is not installed, so ONNX Runtime was not fetched: OpenCV does the work. apt-get install npm, then: $0 $folder" >&2
	exit 1
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
echo "==> Fetching ONNX Runtime (npm $package, 11 MB) into $folder"
(cd "$dir" && timeout 180 npm pack --silent --ignore-scripts "$package" >archive.name) || {
	echo "npm could not fetch $package: OpenCV does the work. Later: $0 $folder" >&2
	exit 1
}
tar -xzf "$dir/$(tail -n 1 "$dir/archive.name")" -C "$dir" package/libonnxruntime.so
is_pinned "$dir/package/libonnxruntime.so" || {
	echo "The library in npm $package is not the one that was tested (SHA-256 differs): it is not installed." >&2
	exit 1
}
mkdir -p "$folder"
# A running program may hold the old file: a new one takes its name.
cp "$dir/package/libonnxruntime.so" "$library.new"
chmod 0644 "$library.new"
mv "$library.new" "$library"
