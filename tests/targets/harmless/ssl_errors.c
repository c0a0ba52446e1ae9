// flags: -Wl,--no-as-needed -l:libssl.so.3 -l:libcrypto.so.3
// Uses TLS objects without a socket, and says which errors are in OpenSSL's queue after each call.
#include <stddef.h>
#include <stdio.h>

void *TLS_method(void), *SSL_CTX_new(const void *), *SSL_new(void *), *BIO_new(const void *), *BIO_s_mem(void);
void SSL_set_bio(void *, void *, void *), SSL_set_connect_state(void *), SSL_free(void *);
int SSL_read(void *, void *, int), SSL_write(void *, const void *, int), SSL_do_handshake(void *);
int SSL_get_error(void *, int);
unsigned long ERR_get_error(void);

static void say(const char *call, void *ssl, int result) {
    int kind = SSL_get_error(ssl, result);
    printf("%s: %d, %d;", call, result, kind);
    for (unsigned long error; (error = ERR_get_error()) != 0;)
        printf(" %lx", error);
    printf("\n");
}

static void move(void *ssl) {
    char buffer[10] = "x";
    say("read", ssl, SSL_read(ssl, buffer, 10));
    say("write", ssl, SSL_write(ssl, buffer, 1));
    say("read nothing", ssl, SSL_read(ssl, buffer, 0));
}

int main(void) {
    void *context = SSL_CTX_new(TLS_method()), *ssl = SSL_new(context);
    move(ssl);
    SSL_free(ssl);
    ssl = SSL_new(context);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    move(ssl);
    say("handshake", ssl, SSL_do_handshake(ssl));
    SSL_free(ssl);
    return 0;
}
