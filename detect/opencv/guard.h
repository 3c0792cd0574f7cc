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
	int outputs;      // -1: it failed, and why is in error
	int dims[4];      // dimensions of each of the first four
	int shape[4][8];  // the first eight of them
	char error[512];
} se_trial;

// se_try_model imports an ONNX model and runs it once on an input of 1 x 3 x
// size x size.
void se_try_model(const uint8_t *model, size_t n, int size, se_trial *out);

// se_try_model_apart does the same in a child process, which may take max_bytes
// more memory than this one has and the given seconds. Whatever the model does to
// it, this process only learns that it died.
void se_try_model_apart(const uint8_t *model, size_t n, int size, int64_t max_bytes, int seconds, se_trial *out);

#ifdef __cplusplus
}
#endif

#endif
