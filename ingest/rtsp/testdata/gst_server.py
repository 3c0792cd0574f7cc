#!/usr/bin/env python3
"""An RTSP server of GStreamer's, as a foreign peer for the tests.

usage: gst_server.py PATH=FILE... [--user USER --password PASSWORD --auth basic|digest] [--protocol tcp|udp]

Serves each .h264 or .h265 file at rtsp://127.0.0.1:PORT/PATH, from its start for
each reader, beside a tone as second track, and prints PORT. Ends with its stdin.
"""
import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

PROTOCOLS = {"tcp": GstRtsp.RTSPLowerTrans.TCP, "udp": GstRtsp.RTSPLowerTrans.UDP}


def launch(path):
    codec = "h265" if path.endswith(".h265") else "h264"
    video = f'filesrc location="{path}" ! {codec}parse ! video/x-{codec},alignment=au ! rtp{codec}pay name=pay1 pt=97 config-interval=0'
    # The tee keeps the media alive when a reader leaves the tone alone.
    audio = "audiotestsrc is-live=false num-buffers=400 ! alawenc ! tee allow-not-linked=true ! rtppcmapay name=pay0 pt=8"
    return f"( {audio} {video} )"


def stamp(_factory, media):
    """Gives each picture its time: a byte stream carries none."""
    count = 0

    def buffer(_pad, info):
        nonlocal count
        b = info.get_buffer()
        b.pts = b.dts = count * Gst.SECOND // 10
        count += 1
        return Gst.PadProbeReturn.OK

    media.get_element().get_by_name("pay1").get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, buffer)


def protect(server, factory, args):
    auth = GstRtspServer.RTSPAuth()
    methods = {"basic": GstRtsp.RTSPAuthMethod.BASIC, "digest": GstRtsp.RTSPAuthMethod.DIGEST}
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.set_supported_methods(methods[args.auth])
    if args.auth == "digest":
        auth.add_digest(args.user, args.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(args.user, args.password), token)
    server.set_auth(auth)
    factory.add_role_from_structure(
        Gst.Structure.new_from_string("user,media.factory.access=true,media.factory.construct=true")
    )


def main():
    p = argparse.ArgumentParser()
    p.add_argument("paths", nargs="+")
    p.add_argument("--user")
    p.add_argument("--password")
    p.add_argument("--auth", default="digest")
    p.add_argument("--protocol")
    args = p.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    for pair in args.paths:
        name, path = pair.split("=", 1)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch(path))
        factory.connect("media-configure", stamp)
        if args.protocol:
            factory.set_protocols(PROTOCOLS[args.protocol])
        if args.user:
            protect(server, factory, args)
        server.get_mount_points().add_factory("/" + name, factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()

    def end():
        sys.stdin.read()
        loop.quit()

    threading.Thread(target=end, daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
