//go:build cgo

#include "guard.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/dnn.hpp>
#include <opencv2/imgproc.hpp>

namespace {

// silent keeps OpenCV from printing each error that it also throws.
int silent(int, const char *, const char *, const char *, int, void *) { return 0; }

void quieten() {
	static std::once_flag once;
	std::call_once(once, [] {
		cv::redirectError(silent);
		cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
	});
}

// guarded runs f and turns whatever it throws into a text.
template <typename F> int guarded(char *err, size_t err_size, F f) {
	quieten();
	try {
		return f();
	} catch (const cv::Exception &e) {
		std::snprintf(err, err_size, "OpenCV: %s", e.err.empty() ? e.what() : e.err.c_str());
	} catch (const std::exception &e) {
		std::snprintf(err, err_size, "OpenCV: %s", e.what());
	} catch (...) {
		std::snprintf(err, err_size, "OpenCV: unknown exception");
	}
	return -1;
}

// shrink scales a plane. Sampling would step over whole pixels when a picture is
// much larger, so blocks of k x k are averaged first; with whole k that is a plain
// sum, five times faster than averaging down to any size.
void shrink(const cv::Mat &from, cv::Mat &to, int w, int h) {
	int k = std::min(from.cols / w, from.rows / h);
	cv::Mat blocks = from;
	if (k > 1) {
		cv::Mat whole = from(cv::Rect(0, 0, from.cols / k * k, from.rows / k * k));
		cv::resize(whole, blocks, cv::Size(from.cols / k, from.rows / k), 0, 0, cv::INTER_AREA);
	}
	cv::resize(blocks, to, cv::Size(w, h), 0, 0, cv::INTER_LINEAR);
}

cv::Mat wrap(const uint8_t *data, const se_plane &p) {
	return cv::Mat(p.height, p.width, CV_8UC1, const_cast<uint8_t *>(data), static_cast<size_t>(p.stride));
}

// The model's training statistics, in the order B, G, R.
const float mean[3] = {103.53f, 116.28f, 123.675f};
const float deviation[3] = {57.375f, 57.12f, 58.395f};

} // namespace

void se_set_threads(int n) { cv::setNumThreads(n); }

void se_try_model(const uint8_t *model, size_t n, int size, se_trial *out) {
	std::memset(out, 0, sizeof *out);
	out->dims = guarded(out->error, sizeof out->error, [&] {
		cv::dnn::Net net = cv::dnn::readNetFromONNX(reinterpret_cast<const char *>(model), n);
		if (net.empty()) CV_Error(cv::Error::StsError, "the model has no layers");
		net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
		net.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
		int shape[] = {1, 3, size, size};
		cv::Mat input(4, shape, CV_32F, cv::Scalar(0.5));
		net.setInput(input);
		cv::Mat result = net.forward();
		if (result.type() != CV_32F || !result.isContinuous()) CV_Error(cv::Error::StsError, "the output is not float32");
		for (int i = 0; i < std::min(result.dims, 8); i++) out->shape[i] = result.size[i];
		return result.dims;
	});
}

int se_fill(const uint8_t *y_data, const uint8_t *cb_data, const uint8_t *cr_data, se_plane y, se_plane c,
	int size, int px, int py, int w, int h, float *out, char *err, size_t err_size) {
	return guarded(err, err_size, [&] {
		cv::Mat planes[3], ycrcb, bgr;
		shrink(wrap(y_data, y), planes[0], w, h);
		shrink(wrap(cr_data, c), planes[1], w, h);
		shrink(wrap(cb_data, c), planes[2], w, h);
		cv::merge(planes, 3, ycrcb);
		cv::cvtColor(ycrcb, bgr, cv::COLOR_YCrCb2BGR);
		for (int ch = 0; ch < 3; ch++) {
			float *to = out + static_cast<size_t>(ch) * size * size;
			float scale = 1 / deviation[ch], shift = -mean[ch] / deviation[ch];
			std::fill(to, to + static_cast<size_t>(size) * size, shift);
			for (int row = 0; row < h; row++) {
				const uint8_t *from = bgr.ptr<uint8_t>(row) + ch;
				float *line = to + static_cast<size_t>(py + row) * size + px;
				for (int x = 0; x < w; x++) line[x] = from[3 * x] * scale + shift;
			}
		}
		return 0;
	});
}
