// OpenCV behind try/catch: what may throw in gocv ends the process, what may
// throw here becomes an error text.
#ifndef SHARPEYES_GUARD_H
#define SHARPEYES_GUARD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// se_set_threads bounds the threads that OpenCV uses in this process.
void se_set_threads(int n);

// se_trial is what came of trying a model.
typedef struct {
	int dims;      // dimensions of the output; -1: it failed, and why is in error
	int shape[8];  // the first of them
	char error[512];
} se_trial;

// se_try_model imports an ONNX model and runs it once on an input of 1 x 3 x
// size x size.
void se_try_model(const uint8_t *model, size_t n, int size, se_trial *out);

// se_try_model_apart does the same in a child process, which may take max_bytes
// more memory than this one has and the given seconds. Whatever the model does to
// it, this process only learns that it died.
void se_try_model_apart(const uint8_t *model, size_t n, int size, int64_t max_bytes, int seconds, se_trial *out);

// se_plane is one plane of a picture, 8 bit.
typedef struct {
	int stride, width, height;
} se_plane;

// se_fill scales the planes of a full-range BT.601 picture (JFIF) to w x h,
// places them at (x, y) in out, 3 x size x size, as NanoDet wants them: BGR,
// mean removed, divided by the deviation, black around. It returns 0; or -1 and
// a text in err.
int se_fill(const uint8_t *y_data, const uint8_t *cb_data, const uint8_t *cr_data, se_plane y, se_plane c,
	int size, int px, int py, int w, int h, float *out, char *err, size_t err_size);

#ifdef __cplusplus
}
#endif

#endif
