// Keeps blocks of many sizes, ends as many in every way, on two threads and in a forked child.
// flags: -O1
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 60000 };

static void *kept[BLOCKS], *passed[BLOCKS];

// 24 to 4,120 bytes; 124,310,400 in all.
static size_t size(int number)
{
	return 24 + number % 65 * 64;
}

// Every second block is handed on, every third one comes by realloc, many more live for a moment only.
static void *allocate(void *nothing)
{
	for (int n = 0; n < BLOCKS; n++) {
		free(malloc(size(n)));
		kept[n] = n % 3 == 0 ? realloc(malloc(size(n) / 2), size(n)) : malloc(size(n));
		passed[n] = calloc(1, size(n));
	}
	return nothing;
}

int main(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, allocate, NULL);
	pthread_join(thread, NULL);
	for (int n = 0; n < BLOCKS; n++)
		free(passed[n]);
	pid_t child = fork();
	for (int n = 0; child == 0 && n < BLOCKS; n++)
		free(kept[n]);
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	return 0;
}
