//go:build cgo

#include "guard.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/dnn.hpp>

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

} // namespace

void se_set_threads(int n) { cv::setNumThreads(n); }

void se_try_model(const uint8_t *model, size_t n, int size, se_trial *out) {
	std::memset(out, 0, sizeof *out);
	out->outputs = guarded(out->error, sizeof out->error, [&] {
		cv::dnn::Net net = cv::dnn::readNetFromONNX(reinterpret_cast<const char *>(model), n);
		if (net.empty()) CV_Error(cv::Error::StsError, "the model has no layers");
		net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
		net.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
		int shape[] = {1, 3, size, size};
		cv::Mat input(4, shape, CV_32F, cv::Scalar(0.5));
		net.setInput(input);
		std::vector<cv::Mat> results;
		net.forward(results, net.getUnconnectedOutLayersNames());
		int count = static_cast<int>(results.size());
		if (count > 4) CV_Error(cv::Error::StsError, "it has more than four outputs");
		for (int k = 0; k < count; k++) {
			const cv::Mat &r = results[k];
			if (r.type() != CV_32F || !r.isContinuous()) CV_Error(cv::Error::StsError, "the output is not float32");
			out->dims[k] = r.dims;
			for (int i = 0; i < std::min(r.dims, 8); i++) out->shape[k][i] = r.size[i];
		}
		return count;
	});
}
