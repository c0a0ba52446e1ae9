/*
 * Marks: tell libleak which span of your program's work is one request.
 *
 * A program built with this header runs unchanged without libleak, and links against nothing. Under
 * libleak (LD_PRELOAD) each call records a mark, a few nanoseconds.
 *
 *     leak_begin("import");   a request begins on this thread
 *     ...
 *     leak_end();             and ends on the same thread
 *
 * They nest, and the innermost owns what is allocated. For a program that is one loop:
 *
 *     leak_mark("round");     ends the interval that the last leak_mark began, and begins the next
 *
 * Labels are C strings, copied at once, and at most 4096 bytes of each are kept.
 */
#ifndef LEAK_H
#define LEAK_H

#ifdef __cplusplus
extern "C" {
#endif

__attribute__((weak)) void leak_begin(const char *label);
__attribute__((weak)) void leak_end(void);
__attribute__((weak)) void leak_mark(const char *label);

#ifdef __cplusplus
}
#endif

/* The symbols are there only under libleak. A label is evaluated only where they are. */
#define leak_begin(label) (leak_begin ? leak_begin(label) : (void)0)
#define leak_end() (leak_end ? leak_end() : (void)0)
#define leak_mark(label) (leak_mark ? leak_mark(label) : (void)0)

#endif
