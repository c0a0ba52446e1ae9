// Nothing but malloc and free, in the shapes that decide what a tracer costs:
// usage: storm SHAPE DEPTH THREADS EVENTS; it makes about EVENTS events, leaks nothing
//   same      one call site, DEPTH frames down
//   changing  one of 512 call sites, DEPTH frames down, three frames new each time
//   updown    a block for each frame on the way down, freed on the way up
//   tree      a random walk through a tree of four functions
//   live      16,384 live blocks, a random one replaced each time
//   crossing  each block is freed by another thread than the one that allocated it
// flags: -O2 -fno-optimize-sibling-calls -fno-inline
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIVE = 16384, BATCH = 4096 };

struct thread {
	pthread_t id;
	uint64_t seed;
	long pairs; // of an allocation and a free
	int depth;
	void **blocks; // BATCH of them, for the other thread of the two
	void **others;
	pthread_barrier_t *both;
};

static void (*shape)(struct thread *);

static uint64_t next(struct thread *self)
{
	self->seed ^= self->seed << 13;
	self->seed ^= self->seed >> 7;
	self->seed ^= self->seed << 17;
	return self->seed;
}

// A call site asks for a handful of sizes, as most do.
static size_t size(struct thread *self)
{
	return 16 + (next(self) >> 40) % 8 * 48;
}

// Keeps each caller's frame where it is: what follows the call is never nothing.
#define STAY() __asm__ volatile("" ::: "memory")

static void pair(struct thread *self)
{
	char *block = malloc(size(self));
	*block = 1;
	free(block);
	STAY();
}

static void same(struct thread *self)
{
	for (long n = 0; n < self->pairs; n++)
		pair(self);
}

#define EIGHT(TEMPLATE, NEXT)                                                                      \
	TEMPLATE(0, NEXT) TEMPLATE(1, NEXT) TEMPLATE(2, NEXT) TEMPLATE(3, NEXT)                    \
	TEMPLATE(4, NEXT) TEMPLATE(5, NEXT) TEMPLATE(6, NEXT) TEMPLATE(7, NEXT)
#define STEP(N, NEXT)                                                                              \
	static void NEXT##_from_##N(struct thread *self, unsigned way)                             \
	{                                                                                          \
		NEXT(self, way);                                                                   \
		__asm__ volatile("nop # " #N ::: "memory");                                        \
	}
#define ENTRY(N, NEXT) NEXT##_from_##N,
#define LEVEL(NAME, NEXT)                                                                          \
	EIGHT(STEP, NEXT)                                                                          \
	static void NAME(struct thread *self, unsigned way)                                        \
	{                                                                                          \
		static void (*const ways[])(struct thread *, unsigned) = { EIGHT(ENTRY, NEXT) };   \
		ways[way % 8](self, way / 8);                                                      \
		STAY();                                                                            \
	}

static void leaf(struct thread *self, unsigned way)
{
	(void)way;
	pair(self);
	STAY();
}

LEVEL(third, leaf)
LEVEL(second, third)
LEVEL(first, second)

static void changing(struct thread *self)
{
	for (long n = 0; n < self->pairs; n++)
		first(self, next(self) >> 20);
}

static void down(struct thread *self, int left)
{
	char *block = malloc(size(self));
	*block = 1;
	self->pairs--;
	if (left > 0 && self->pairs > 0)
		down(self, left - 1);
	free(block);
}

static void updown(struct thread *self)
{
	while (self->pairs > 0)
		down(self, self->depth);
}

static void grow(struct thread *self, int left);
#define BRANCH(N, NEXT)                                                                            \
	static void branch_##N(struct thread *self, int left)                                      \
	{                                                                                          \
		NEXT(self, left);                                                                  \
		__asm__ volatile("nop # " #N ::: "memory");                                        \
	}
BRANCH(0, grow) BRANCH(1, grow) BRANCH(2, grow) BRANCH(3, grow)

static void grow(struct thread *self, int left)
{
	static void (*const branches[])(struct thread *, int) = { branch_0, branch_1, branch_2,
								  branch_3 };
	char *block = malloc(size(self));
	*block = 1;
	self->pairs--;
	for (int n = 0; left > 0 && n < 2 && self->pairs > 0; n++)
		branches[next(self) >> 20 & 3](self, left - 1);
	free(block);
}

static void tree(struct thread *self)
{
	while (self->pairs > 0)
		grow(self, self->depth);
}

static void live(struct thread *self)
{
	char **blocks = calloc(LIVE, sizeof *blocks);
	for (long n = 0; n < self->pairs; n++) {
		char **slot = &blocks[(next(self) >> 20) % LIVE];
		free(*slot);
		*slot = malloc(size(self));
		**slot = 1;
	}
	for (int n = 0; n < LIVE; n++)
		free(blocks[n]);
	free(blocks);
}

// Threads go in twos: each allocates a batch, and frees the other's.
static void crossing(struct thread *self)
{
	for (long done = 0; done < self->pairs; done += BATCH) {
		for (int n = 0; n < BATCH; n++) {
			char *block = malloc(size(self));
			*block = 1;
			self->blocks[n] = block;
		}
		pthread_barrier_wait(self->both);
		for (int n = 0; n < BATCH; n++)
			free(self->others[n]);
		pthread_barrier_wait(self->both);
	}
}

static void deeper(struct thread *self, int left)
{
	if (left > 0)
		deeper(self, left - 1);
	else
		shape(self);
	STAY();
}

static void *run(void *argument)
{
	struct thread *self = argument;
	deeper(self, shape == updown || shape == tree ? 0 : self->depth);
	return NULL;
}

static int named(const char *name)
{
	static const struct {
		const char *name;
		void (*shape)(struct thread *);
	} shapes[] = { { "same", same }, { "changing", changing }, { "updown", updown },
		       { "tree", tree }, { "live", live },         { "crossing", crossing } };
	for (size_t n = 0; n < sizeof shapes / sizeof *shapes; n++)
		if (strcmp(name, shapes[n].name) == 0)
			shape = shapes[n].shape;
	return shape != NULL;
}

int main(int count, char **arguments)
{
	if (count != 5 || !named(arguments[1]))
		return 2;
	int depth = atoi(arguments[2]), threads = atoi(arguments[3]);
	long pairs = atol(arguments[4]) / 2 / threads;
	struct thread *all = calloc(threads, sizeof *all);
	void **blocks = calloc(threads + 1, BATCH * sizeof *blocks);
	pthread_barrier_t *both = calloc(threads / 2 + 1, sizeof *both);
	for (int n = 0; n < threads; n++) {
		all[n] = (struct thread){ .seed = 0x9e3779b97f4a7c15u * (n + 1), .pairs = pairs, .depth = depth,
					  .blocks = blocks + n * BATCH, .others = blocks + (n ^ 1) * BATCH,
					  .both = &both[n / 2] };
		if (n % 2 == 0)
			pthread_barrier_init(all[n].both, NULL, 2);
	}
	for (int n = 1; n < threads; n++)
		pthread_create(&all[n].id, NULL, run, &all[n]);
	run(&all[0]);
	for (int n = 1; n < threads; n++)
		pthread_join(all[n].id, NULL);
	free(both);
	free(blocks);
	free(all);
	return 0;
}
