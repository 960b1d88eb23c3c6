/*
 * font.h - the glyphs that draw.c paints.
 */
#ifndef VOV_FONT_H
#define VOV_FONT_H

#include <stdint.h>

enum { FONT_WIDTH = 5, FONT_HEIGHT = 7 };

/* FONT_HEIGHT rows from the top, bit FONT_WIDTH - 1 the leftmost pixel. Any byte has one. */
const uint8_t *font_glyph(unsigned char c);

#endif
