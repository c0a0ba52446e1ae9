// flags: -shared -fPIC -O2
// A preload that counts. Loaded after libleak, it sees what libleak passed on: both must agree. It counts
// in a file that all processes map (COUNT_FILE), in a slot for each program image, so that what was
// counted outlives any end. It knows nothing of libleak.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// As tests/src/count.rs reads it.
struct slot {
  _Atomic uint64_t pid, allocations, frees, reallocations, allocated_bytes, live_blocks, live_bytes, dtvs;
  char program[192];
};
enum { SLOTS = 65536 };

// Slot 0 holds nothing but the number of slots in use, at the place of its pid.
static struct slot *slots;
// Wiped in a forked child, which takes a slot of its own; a vfork child counts for its parent.
static _Atomic uint64_t *own;

// Live blocks by address; copied into a child by fork, as the heap is.
struct entry {
  _Atomic uint64_t address;  // 0: never used, 1: used before
  uint64_t size;             // the size, and from bit 48 the slot that asked for it
};
static struct entry *table;
static const uint64_t ENTRIES = 1ull << 23;

static struct {
  void *(*malloc)(size_t), *(*calloc)(size_t, size_t), *(*realloc)(void *, size_t);
  void (*free)(void *);
  int (*posix_memalign)(void **, size_t, size_t);
  void *(*aligned_alloc)(size_t, size_t), *(*memalign)(size_t, size_t);
  void *(*valloc)(size_t), *(*pvalloc)(size_t);
} next;
static _Atomic int prepared;

static void *map(size_t bytes, int flags, int fd) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

static void open_file(const char *path) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  own = map(4096, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  table = map(ENTRIES * sizeof *table, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  void *file = map(SLOTS * sizeof *slots, MAP_SHARED, fd);
  close(fd);
  if (own && table && madvise(own, 4096, MADV_WIPEONFORK) == 0) slots = file;
}

// The first call comes before any thread.
static void prepare(void) {
  if (prepared) return;
  prepared = 1;
  int error = errno;
  const char *path = getenv("COUNT_FILE");
  next.malloc = dlsym(RTLD_NEXT, "malloc");
  next.calloc = dlsym(RTLD_NEXT, "calloc");
  next.realloc = dlsym(RTLD_NEXT, "realloc");
  next.free = dlsym(RTLD_NEXT, "free");
  next.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
  next.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
  next.memalign = dlsym(RTLD_NEXT, "memalign");
  next.valloc = dlsym(RTLD_NEXT, "valloc");
  next.pvalloc = dlsym(RTLD_NEXT, "pvalloc");
  if (path) open_file(path);
  errno = error;
}

static uint64_t number(void) {
  uint64_t found = atomic_load(own), none = 0;
  if (found) return found;
  uint64_t mine = atomic_fetch_add(&slots[0].pid, 1) + 1;
  if (mine >= SLOTS) abort();
  if (!atomic_compare_exchange_strong(own, &none, mine)) return none;
  int error = errno;
  if (readlink("/proc/self/exe", slots[mine].program, sizeof slots[mine].program - 1) < 0)
    slots[mine].program[0] = '?';
  slots[mine].pid = getpid();
  errno = error;
  return mine;
}

// Neighbours in the heap are neighbours here, in runs of 64 that lie anywhere.
static struct entry *home(uint64_t address) {
  uint64_t run = (address >> 10) * 0x9E3779B97F4A7C15u >> 32;
  return &table[(run * 64 + (address >> 4) % 64) % ENTRIES];
}

static struct entry *following(struct entry *entry) {
  return entry + 1 == table + ENTRIES ? table : entry + 1;
}

static void put(uint64_t address, uint64_t size) {
  for (struct entry *entry = home(address);; entry = following(entry)) {
    uint64_t seen = atomic_load(&entry->address);
    if (seen <= 1 && atomic_compare_exchange_strong(&entry->address, &seen, address)) {
      entry->size = size;
      return;
    }
  }
}

// What was put for the address; 0 slots for a block that nobody asked us for.
static uint64_t take(uint64_t address) {
  for (struct entry *entry = home(address);; entry = following(entry)) {
    uint64_t seen = atomic_load(&entry->address), size = entry->size;
    if (seen == address) {
      atomic_store(&entry->address, 1);
      return size;
    }
    if (seen == 0) return 0;
  }
}

static void *lives(void *block, size_t size) {
  if (block && slots) {
    uint64_t mine = number();
    slots[mine].live_blocks++;
    slots[mine].live_bytes += size;
    put((uint64_t)block, size | mine << 48);
  }
  return block;
}

static uint64_t sized(uint64_t was) { return was & ((1ull << 48) - 1); }

static uint64_t dies(void *block) {
  uint64_t was = take((uint64_t)block), mine = number();
  if (was >> 48 == mine) {
    slots[mine].live_blocks--;
    slots[mine].live_bytes -= sized(was);
  }
  return was;
}

static void revives(void *block, uint64_t was) {
  uint64_t mine = number();
  put((uint64_t)block, was);
  if (was >> 48 == mine) {
    slots[mine].live_blocks++;
    slots[mine].live_bytes += sized(was);
  }
}

static void *allocated(void *block, size_t size) {
  if (block && slots) {
    dies(block);  // freed without us, if it was there: by a module bound to the C library alone (RTLD_DEEPBIND)
    struct slot *slot = &slots[number()];
    slot->allocations++;
    slot->allocated_bytes += size;
  }
  return lives(block, size);
}

void *malloc(size_t size) {
  prepare();
  return allocated(next.malloc(size), size);
}

void *calloc(size_t count, size_t size) {
  prepare();
  // The loader's table of a thread's TLS blocks, which is larger by one for each module with TLS.
  if (size == 16 && slots) slots[number()].dtvs++;
  return allocated(next.calloc(count, size), count * size);
}

void *realloc(void *old, size_t size) {
  prepare();
  if (!old) return allocated(next.realloc(old, size), size);
  uint64_t was = slots ? dies(old) : 0;
  void *block = next.realloc(old, size);
  if (!slots) return block;
  struct slot *slot = &slots[number()];
  if (block) {
    slot->reallocations++;
    slot->allocated_bytes += size > sized(was) ? size - sized(was) : 0;
    dies(block);
    return lives(block, size);
  }
  if (size == 0) {
    slot->frees++;
  } else {
    revives(old, was);
  }
  return NULL;
}

void free(void *block) {
  prepare();
  if (block && slots) {
    slots[number()].frees++;
    dies(block);
  }
  next.free(block);
}

int posix_memalign(void **place, size_t alignment, size_t size) {
  prepare();
  int result = next.posix_memalign(place, alignment, size);
  if (result == 0) allocated(*place, size);
  return result;
}

void *aligned_alloc(size_t alignment, size_t size) {
  prepare();
  return allocated(next.aligned_alloc(alignment, size), size);
}

void *memalign(size_t alignment, size_t size) {
  prepare();
  return allocated(next.memalign(alignment, size), size);
}

void *valloc(size_t size) {
  prepare();
  return allocated(next.valloc(size), size);
}

void *pvalloc(size_t size) {
  prepare();
  return allocated(next.pvalloc(size), size);
}

// A forked child and a new image count from their start, also if they never allocate.
static void begin(void) {
  if (slots) number();
}

__attribute__((constructor)) static void start(void) {
  prepare();
  begin();
  pthread_atfork(NULL, NULL, begin);
}
