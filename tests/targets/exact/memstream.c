// live at exit: 1 block, 2001 bytes
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    for (int i = 0; i < 2000; i++)
        fputc('x', stream);
    fclose(stream);
    text = realloc(text, size + 1);
    return size == 2000 && text ? 0 : 1;
}
