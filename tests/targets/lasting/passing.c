// Many blocks that pass, some that last, at a few call sites, on two threads and in a forked child.
// flags: -O1
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20000, KEPT = 500 };

static void *kept[2][KEPT];

static unsigned random_below(unsigned *state, unsigned bound)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % bound;
}

static void *work(void *number)
{
	void **mine = number;
	unsigned state = 1;
	for (int round = 0; round < ROUNDS; round++) {
		void *passing[6];
		for (int n = 0; n < 6; n++)
			passing[n] = malloc(random_below(&state, 500));
		for (int n = 0; n < 6; n++) {
			int other = random_below(&state, 6);
			void *block = passing[other];
			passing[other] = passing[n];
			passing[n] = block;
		}
		char *grown = realloc(strdup("passes, too"), random_below(&state, 200) + 12);
		if (random_below(&state, 20) == 0) {
			void **place = &mine[random_below(&state, KEPT)];
			free(*place);
			*place = calloc(1, random_below(&state, 90));
		}
		for (int n = 0; n < 6; n++)
			free(passing[n]);
		free(grown);
	}
	return NULL;
}

int main(void)
{
	for (int thread = 0; thread < 2; thread++) {
		pthread_t handle;
		pthread_create(&handle, NULL, work, kept[thread]);
		pthread_join(handle, NULL);
	}
	pid_t child = fork();
	if (child == 0) {
		work(kept[0]);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	return 0;
}
