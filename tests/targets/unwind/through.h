// A library whose one function has a frame of FRAME bytes.
typedef void *(*Callback)(int);

void *through(int bytes, Callback callback) {
    volatile char frame[FRAME];
    frame[0] = (char)bytes;
    void *block = callback(bytes + frame[0]);
    __asm__ volatile("" ::"r"(frame) : "memory");
    return block;
}
