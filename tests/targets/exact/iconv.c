// live at exit: 17 blocks, 7957 bytes (one of 5 bytes, and what iconv of Debian 12 keeps: 7,952 in 16)
#include <iconv.h>
#include <stdlib.h>

int main(void) {
    void *kept = malloc(5);
    for (int i = 0; i < 20; i++) {
        iconv_t converter = iconv_open("UTF-16LE", "ISO-8859-15");
        if (converter == (iconv_t)-1)
            return 1;
        char in[] = "text", out[32], *from = in, *to = out;
        size_t left = 4, room = sizeof out;
        if (iconv(converter, &from, &left, &to, &room) == (size_t)-1 || room != 24)
            return 2;
        iconv_close(converter);
    }
    return kept ? 0 : 3;
}
