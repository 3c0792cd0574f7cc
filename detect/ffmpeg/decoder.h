// The C side of the decoder: libavcodec behind four functions.
#ifndef SHARPEYES_DECODER_H
#define SHARPEYES_DECODER_H

#include <stddef.h>
#include <stdint.h>

typedef struct se_decoder se_decoder;

// One decoded picture. The pointers stay valid until the next se_decode or
// se_close of the same decoder.
typedef struct {
	const uint8_t *y, *u, *v; // 8 bit, 4:2:0
	const uint8_t *luma;      // decimated, rows without padding
	int y_stride, c_stride;   // bytes
	int width, height;        // pixels
	int luma_width, luma_height;
	int broken;               // libav concealed something in it
	int gap;                  // H.264: frame numbers jumped
	int input_taken;          // libav keeps the input buffer: reserve a new one
} se_picture;

enum {
	SE_NOTHING = 0,   // no picture yet, feed more
	SE_PICTURE = 1,
	SE_SIZE = -1,     // the picture is too large or too small; width and height are set
	SE_FORMAT = -2,   // a pixel format that cannot be converted
	SE_INVALID = -3,  // libav refuses the data
	SE_MEMORY = -4,
};

enum { SE_H264 = 1, SE_H265 = 2 };

// se_open returns a decoder, or NULL when libav has none for the codec or there
// is no memory.
se_decoder *se_open(int codec, int64_t max_pixels, int min_side);

// se_reserve returns a buffer for at least n bytes of input, padding on top, and
// its size in *size; or NULL when there is no memory. It belongs to the decoder
// and may be written until the next se_decode says input_taken.
uint8_t *se_reserve(se_decoder *d, size_t n, size_t *size);

// se_decode decodes the first n bytes of the reserved buffer. With small, this and
// what is drained after it gets its small luma picture.
int se_decode(se_decoder *d, size_t n, int key, int flush, int small, se_picture *out);

// se_deblock says whether the pictures that follow are deblocked.
void se_deblock(se_decoder *d, int on);

// se_drain delivers the newest picture that is held back for reordering, and
// forgets everything before it: the next unit must be a key unit.
int se_drain(se_decoder *d, se_picture *out);

// se_close frees everything.
void se_close(se_decoder *d);

// se_version writes "libavcodec A.B.C (release)" to out.
void se_version(char *out, size_t n);

// se_luma_size says how a w x h plane is decimated.
int se_luma_size(int w, int h, int *lw, int *lh);

// se_decimate averages blocks of f x f pixels of src into dst, lw x lh without
// row padding. acc is scratch for w values.
void se_decimate(const uint8_t *src, int stride, int w, int f, uint8_t *dst, int lw, int lh, uint16_t *acc);

#endif
