// live at exit: 122 blocks, 11848 bytes (what setlocale and newlocale of Debian 12 keep)
#define _GNU_SOURCE
#include <locale.h>
#include <stdlib.h>

int main(void) {
    setlocale(LC_ALL, "C.UTF-8");
    locale_t locale = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    freelocale(locale);
    setlocale(LC_ALL, "C");
    return 0;
}
