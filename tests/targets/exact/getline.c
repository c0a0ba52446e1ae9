// live at exit: 3 blocks, 4808 bytes (getline's buffer of 240, the stream's 472 and its stdio buffer of 4096)
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    FILE *file = tmpfile();
    for (int i = 0; i < 1000; i++)
        fprintf(file, "%0*d\n", 1 + i % 150, i);
    rewind(file);
    char *line = NULL;
    size_t room = 0, lines = 0;
    while (getline(&line, &room, file) > 0)
        lines++;
    return lines == 1000 ? 0 : 1;
}
