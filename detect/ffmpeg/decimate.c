//go:build cgo

#include "decoder.h"

// se_luma_size picks the integer factor that brings w nearest to 320 pixels. An
// integer factor keeps the average a plain sum; what is left at the right and
// lower edge (less than one block) is not looked at.
int se_luma_size(int w, int h, int *lw, int *lh) {
	int f = (w + 160) / 320;
	if (f < 1) f = 1;
	if (f > h) f = h;
	*lw = w / f;
	*lh = h / f;
	return f;
}

// columns sums each f neighbours of acc and scales the sum to one byte. It is
// inlined with a constant f so that the compiler can unroll and vectorise it.
static inline void columns(const uint16_t *restrict acc, uint8_t *restrict dst, int lw, int f, uint32_t scale) {
	for (int x = 0; x < lw; x++) {
		uint32_t s = 0;
		for (int i = 0; i < f; i++) s += acc[x * f + i];
		dst[x] = (uint8_t)((s * scale + (1u << 23)) >> 24);
	}
}

static void columns_by_factor(const uint16_t *acc, uint8_t *dst, int lw, int f, uint32_t scale) {
	switch (f) {
	case 2: columns(acc, dst, lw, 2, scale); break;
	case 3: columns(acc, dst, lw, 3, scale); break;
	case 4: columns(acc, dst, lw, 4, scale); break;
	case 6: columns(acc, dst, lw, 6, scale); break;
	case 8: columns(acc, dst, lw, 8, scale); break;
	case 12: columns(acc, dst, lw, 12, scale); break;
	default: columns(acc, dst, lw, f, scale);
	}
}

// Of each block at most 4 rows are read, spread evenly: reading the picture from
// memory is what costs, and 4 rows of f pixels are enough to average noise away.
void se_decimate(const uint8_t *src, int stride, int w, int f, uint8_t *dst, int lw, int lh, uint16_t *acc) {
	int rows = f < 4 ? f : 4;
	// scale = 2^24 / pixels: sums reach 255 * pixels, so the product stays below 2^32.
	uint32_t scale = (1u << 24) / (uint32_t)(rows * f);
	(void)w;
	int used = lw * f;
	for (int y = 0; y < lh; y++) {
		const uint8_t *r[4];
		for (int i = 0; i < 4; i++) {
			int k = i < rows ? i : rows - 1;
			r[i] = src + (ptrdiff_t)stride * ((ptrdiff_t)y * f + (2 * k + 1) * f / (2 * rows));
		}
		switch (rows) {
		case 1: for (int x = 0; x < used; x++) acc[x] = r[0][x]; break;
		case 2: for (int x = 0; x < used; x++) acc[x] = r[0][x] + r[1][x]; break;
		case 3: for (int x = 0; x < used; x++) acc[x] = r[0][x] + r[1][x] + r[2][x]; break;
		default: for (int x = 0; x < used; x++) acc[x] = r[0][x] + r[1][x] + r[2][x] + r[3][x];
		}
		columns_by_factor(acc, dst + (size_t)y * lw, lw, f, scale);
	}
}
