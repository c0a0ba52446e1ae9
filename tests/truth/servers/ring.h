// A ring of requests that one reader fills and any number of workers empty without a lock. How the workers wait
// for more is the server's.
#ifndef RING_H
#define RING_H

#include "truth.h"

struct entry {
    int fd;
    struct request request;
};

enum { ENTRIES = 1024 };

static struct entry ring[ENTRIES];
static unsigned ring_head, ring_tail; // taken and put so far

// The reader's alone.
static inline void put(int fd, const struct request *request) {
    ring[ring_tail % ENTRIES] = (struct entry){fd, *request};
    __atomic_store_n(&ring_tail, ring_tail + 1, __ATOMIC_RELEASE);
}

// Takes the oldest; 0 where there is none, and then `tail` is what the reader had put.
static inline int try_get(struct entry *entry, unsigned *tail) {
    unsigned head = __atomic_load_n(&ring_head, __ATOMIC_ACQUIRE);
    for (;;) {
        *tail = __atomic_load_n(&ring_tail, __ATOMIC_ACQUIRE);
        if (head == *tail)
            return 0;
        *entry = ring[head % ENTRIES];
        if (__atomic_compare_exchange_n(&ring_head, &head, head + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return 1;
    }
}

#endif
