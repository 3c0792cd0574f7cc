//go:build cgo

#include "decoder.h"

#include <libavcodec/avcodec.h>
#include <libavutil/avutil.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libswscale/swscale.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct se_decoder {
	AVCodecContext *ctx;
	AVPacket *packet;
	AVBufferRef *input;   // Annex-B bytes of the unit at hand
	size_t input_size;    // without padding
	AVFrame *frame;       // what se_picture points into
	AVFrame *incoming;    // what libav hands out
	AVFrame *converted;   // 8 bit 4:2:0 copy of any other format
	struct SwsContext *sws;
	uint8_t *luma;
	size_t luma_size;
	uint16_t *row;        // scratch of the decimation, one picture row
	int row_size;
	int min_side;
	int64_t max_pixels;
	int small; // the picture at hand is decimated
	int damaged, gap, refused_size; // what libav's log said about the unit at hand
};

// FFmpeg 5.1 sets no flag on a picture that it predicts from references it does
// not have, and on few of those that it mends; it only says so in its log. These
// are the messages that mean wrong pixels, by the start of their format. A newer
// release that words them otherwise loses this evidence, not its decoding: the
// flags and AccessUnit.Lost stay. Damage inside an H.265 slice mostly leaves no
// trace at all.
static const char *const damage_messages[] = {
	"Missing reference picture",
	"reference picture missing during reorder",
	"reference count",
	"error while decoding MB",
	"concealing ",
	"Could not find ref with POC",
	"Error constructing the reference lists",
	"Error parsing NAL unit",
	"Zero refs",
	"CABAC_MAX_BIN",
	"The cu_qp_delta",
	"The slice_qp",
};

// owner returns the decoder that a log line is about, or NULL. Helpers of libav
// (picture size checks) log on their own object with the codec as its parent.
static se_decoder *owner(void *object) {
	for (int depth = 0; object != NULL && depth < 4; depth++) {
		const AVClass *class = *(const AVClass **)object;
		if (class == NULL) return NULL;
		if (class == avcodec_get_class()) return ((AVCodecContext *)object)->opaque;
		if (class->parent_log_context_offset == 0) return NULL;
		object = *(void **)((uint8_t *)object + class->parent_log_context_offset);
	}
	return NULL;
}

// on_log takes every line of libav in this process. It prints none: a bad camera
// would fill the disk with them. libav calls it on the thread that decodes, so
// the decoder's fields need no lock.
static void on_log(void *object, int level, const char *format, va_list args) {
	(void)args;
	int gap = strncmp(format, "Frame num gap", 13) == 0; // said at debug level
	if (level > AV_LOG_WARNING && !gap) return;
	se_decoder *d = owner(object);
	if (d == NULL) return;
	if (gap) d->gap = 1;
	if (strncmp(format, "Picture size", 12) == 0) d->refused_size = 1;
	for (size_t i = 0; i < sizeof damage_messages / sizeof damage_messages[0]; i++) {
		if (strncmp(format, damage_messages[i], strlen(damage_messages[i])) == 0) d->damaged = 1;
	}
}

// set_up runs once in a process.
static void set_up(void) {
	av_log_set_callback(on_log);
#ifdef __GLIBC__
	// Cameras get a decoder when something moves and lose it when all is quiet.
	// Left to itself glibc learns from the first freed picture to take pictures
	// from its heaps, one heap for each thread that ever decoded, and keeps them:
	// 18 MiB for each 1080p camera that was active once. With a fixed threshold
	// pictures are mappings of their own, which go back with the decoder.
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
	mallopt(M_ARENA_MAX, 2);
#endif
}

se_decoder *se_open(int codec, int64_t max_pixels, int min_side) {
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up);

	const AVCodec *c = avcodec_find_decoder(codec == SE_H264 ? AV_CODEC_ID_H264 : AV_CODEC_ID_HEVC);
	if (c == NULL) return NULL;
	se_decoder *d = av_mallocz(sizeof *d);
	if (d == NULL) return NULL;
	d->min_side = min_side;
	d->max_pixels = max_pixels;
	d->ctx = avcodec_alloc_context3(c);
	d->packet = av_packet_alloc();
	d->frame = av_frame_alloc();
	d->incoming = av_frame_alloc();
	d->converted = av_frame_alloc();
	if (!d->ctx || !d->packet || !d->frame || !d->incoming || !d->converted) goto fail;
	d->ctx->opaque = d;
	d->ctx->thread_count = 1; // one core serves many cameras; threads only add memory and delay
	d->ctx->flags |= AV_CODEC_FLAG_LOW_DELAY;
	d->ctx->max_pixels = max_pixels;
	d->ctx->pkt_timebase = (AVRational){1, 90000};
	if (avcodec_open2(d->ctx, c, NULL) < 0) goto fail;
	return d;
fail:
	se_close(d);
	return NULL;
}

void se_close(se_decoder *d) {
	if (d == NULL) return;
	av_frame_free(&d->frame);
	av_frame_free(&d->incoming);
	av_frame_free(&d->converted);
	av_packet_free(&d->packet);
	av_buffer_unref(&d->input);
	avcodec_free_context(&d->ctx);
	sws_freeContext(d->sws);
	av_freep(&d->luma);
	av_freep(&d->row);
	av_free(d);
}

uint8_t *se_reserve(se_decoder *d, size_t n, size_t *size) {
	if (d->input == NULL || d->input_size < n || !av_buffer_is_writable(d->input)) {
		if (n < d->input_size) n = d->input_size;
		n += n / 4; // grow in steps, so that units of slowly growing size do not each allocate
		av_buffer_unref(&d->input);
		d->input_size = 0;
		d->input = av_buffer_alloc(n + AV_INPUT_BUFFER_PADDING_SIZE);
		if (d->input == NULL) return NULL;
		d->input_size = n;
	}
	*size = d->input_size;
	return d->input->data;
}

// convert brings any other pixel format to 8 bit 4:2:0 and keeps the value range.
static int convert(se_decoder *d) {
	AVFrame *in = d->incoming, *out = d->converted;
	enum AVPixelFormat want = in->color_range == AVCOL_RANGE_JPEG ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
	if (out->width != in->width || out->height != in->height || out->format != want) {
		av_frame_unref(out);
		out->width = in->width;
		out->height = in->height;
		out->format = want;
		if (av_frame_get_buffer(out, 0) < 0) {
			av_frame_unref(out);
			return SE_MEMORY;
		}
	}
	d->sws = sws_getCachedContext(d->sws, in->width, in->height, in->format, out->width, out->height, want,
		SWS_POINT, NULL, NULL, NULL);
	if (d->sws == NULL) return SE_FORMAT;
	if (sws_scale(d->sws, (const uint8_t *const *)in->data, in->linesize, 0, in->height, out->data, out->linesize) < 0)
		return SE_FORMAT;
	return SE_PICTURE;
}

static int decimate(se_decoder *d, se_picture *out) {
	int f = se_luma_size(out->width, out->height, &out->luma_width, &out->luma_height);
	size_t need = (size_t)out->luma_width * out->luma_height;
	if (need > d->luma_size) {
		av_freep(&d->luma);
		d->luma_size = 0;
		d->luma = av_malloc(need);
		if (d->luma == NULL) return SE_MEMORY;
		d->luma_size = need;
	}
	if (out->width > d->row_size) {
		av_freep(&d->row);
		d->row_size = 0;
		d->row = av_malloc(sizeof(uint16_t) * out->width);
		if (d->row == NULL) return SE_MEMORY;
		d->row_size = out->width;
	}
	se_decimate(out->y, out->y_stride, out->width, f, d->luma, out->luma_width, out->luma_height, d->row);
	out->luma = d->luma;
	return SE_PICTURE;
}

// deliver makes out from d->incoming.
static int deliver(se_decoder *d, se_picture *out) {
	AVFrame *in = d->incoming;
	out->width = in->width;
	out->height = in->height;
	out->broken = in->decode_error_flags != 0 || (in->flags & AV_FRAME_FLAG_CORRUPT) != 0;
	if (in->width < d->min_side || in->height < d->min_side || (int64_t)in->width * in->height > d->max_pixels)
		return SE_SIZE;
	const AVFrame *from;
	if (in->format == AV_PIX_FMT_YUV420P || in->format == AV_PIX_FMT_YUVJ420P) {
		av_frame_unref(d->frame);
		av_frame_move_ref(d->frame, in);
		from = d->frame;
	} else {
		int rc = convert(d);
		if (rc != SE_PICTURE) return rc;
		from = d->converted;
	}
	if (from->linesize[0] <= 0 || from->linesize[1] <= 0 || from->linesize[1] != from->linesize[2]) return SE_FORMAT;
	out->y = from->data[0];
	out->u = from->data[1];
	out->v = from->data[2];
	out->y_stride = from->linesize[0];
	out->c_stride = from->linesize[1];
	return d->small ? decimate(d, out) : SE_PICTURE;
}

// send feeds the reserved bytes and drops the reference to them.
static int send(se_decoder *d, size_t n, int key) {
	memset(d->input->data + n, 0, AV_INPUT_BUFFER_PADDING_SIZE);
	d->packet->buf = av_buffer_ref(d->input);
	if (d->packet->buf == NULL) return AVERROR(ENOMEM);
	d->packet->data = d->input->data;
	d->packet->size = (int)n;
	d->packet->flags = key ? AV_PKT_FLAG_KEY : 0;
	int rc = avcodec_send_packet(d->ctx, d->packet);
	av_packet_unref(d->packet);
	return rc;
}

// receive takes every picture that libav has and delivers the newest: only that
// one is of now. Bit errors in an older one count against it as well.
static int receive(se_decoder *d, se_picture *out) {
	int rc, result = SE_NOTHING;
	while ((rc = avcodec_receive_frame(d->ctx, d->incoming)) >= 0) {
		int broken = out->broken;
		result = deliver(d, out);
		out->broken |= broken;
		av_frame_unref(d->incoming);
		if (result < 0) return result;
	}
	if (rc != AVERROR(EAGAIN) && rc != AVERROR_EOF) return SE_INVALID;
	return result;
}

int se_decode(se_decoder *d, size_t n, int key, int flush, int small, se_picture *out) {
	memset(out, 0, sizeof *out);
	d->small = small;
	if (d->input == NULL || n > d->input_size) return SE_INVALID;
	d->damaged = d->gap = d->refused_size = 0;
	av_frame_unref(d->frame);
	if (flush) avcodec_flush_buffers(d->ctx);
	int rc = send(d, n, key);
	int result = rc < 0 ? SE_INVALID : receive(d, out);
	if (rc < 0) { // leave nothing behind that the next unit would get
		while (avcodec_receive_frame(d->ctx, d->incoming) >= 0) av_frame_unref(d->incoming);
		if (rc == AVERROR(ENOMEM)) result = SE_MEMORY;
		if (d->refused_size) result = SE_SIZE;
	}
	out->broken |= d->damaged;
	out->gap = d->gap;
	out->input_taken = !av_buffer_is_writable(d->input);
	return result;
}

void se_deblock(se_decoder *d, int on) { d->ctx->skip_loop_filter = on ? AVDISCARD_DEFAULT : AVDISCARD_ALL; }

int se_drain(se_decoder *d, se_picture *out) {
	memset(out, 0, sizeof *out);
	d->damaged = d->gap = d->refused_size = 0;
	av_frame_unref(d->frame);
	int result = avcodec_send_packet(d->ctx, NULL) < 0 ? SE_INVALID : receive(d, out);
	avcodec_flush_buffers(d->ctx);
	out->broken |= d->damaged;
	return result;
}

void se_version(char *out, size_t n) {
	unsigned v = avcodec_version();
	snprintf(out, n, "libavcodec %u.%u.%u (FFmpeg %s)", AV_VERSION_MAJOR(v), AV_VERSION_MINOR(v), AV_VERSION_MICRO(v),
		av_version_info());
}
