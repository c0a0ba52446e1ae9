// live at exit: 4 blocks, 41 bytes (strdup 6, strndup 4, asprintf 19, wcsdup 12)
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

int main(void) {
    char *printed = NULL, *gone = NULL;
    char *a = strdup("hello"), *b = strndup("abcdef", 3);
    if (asprintf(&printed, "%d and %s", 123456, "letters") != 18)
        return 1;
    wchar_t *wide = wcsdup(L"ab");
    if (asprintf(&gone, "%0500d", 1) != 500)
        return 2;
    free(gone);
    free(strdup("gone"));
    return a && b && wide ? 0 : 3;
}
