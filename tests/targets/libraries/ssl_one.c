// flags: -fno-toplevel-reorder
// An SSL library of its own: what its function go() calls as SSL_read() gives 1.
#ifndef ANSWER
#define ANSWER 1
#endif

int SSL_read(void *ssl, void *buffer, int size);

// First, so that its call lies at the same place in both libraries.
int go(void) {
    char buffer[1];
    buffer[0] = 0;
    // No last call: the caller is who is asked for.
    return SSL_read(buffer, buffer, 0) + buffer[0];
}

#ifdef BETWEEN
int between(int number) {
    for (int i = 0; i < number; i++)
        number ^= number << 1;
    __builtin_trap();
}
#endif

int SSL_read(void *ssl, void *buffer, int size) {
    return ssl == buffer ? ANSWER + size : -1;
}
