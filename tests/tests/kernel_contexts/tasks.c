/* Tasks that come, go and change their names. Each marks what it is at some moments by a close() of a number
 * that is no descriptor, and writes down what it is, with the kernel's own numbers: it finds them in a /proc
 * that has them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS 10

static const char *proc, *self, *notes;
static int base, rounds, cpus;

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

/* What the calling thread is. */
static void mark(int number)
{
	char path[256], link[64], name[17] = "", stat[1024], *rest;
	int pid, tid, ppid, fd, len;

	snprintf(path, sizeof(path), "%s/thread-self", proc);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		fail(path);
	link[len] = 0;
	sscanf(link, "%d/task/%d", &pid, &tid);
	snprintf(path, sizeof(path), "%s/%s/stat", proc, link);
	fd = open(path, O_RDONLY);
	len = read(fd, stat, sizeof(stat) - 1);
	if (len <= 0)
		fail(path);
	stat[len] = 0;
	close(fd);
	rest = strrchr(stat, ')');
	sscanf(rest, ") %*c %d", &ppid);
	prctl(PR_GET_NAME, name);
	close(base + number);
	len = snprintf(stat, sizeof(stat), "%d %d %d %d %s\n", number, tid, pid, ppid, name);
	fd = open(notes, O_WRONLY | O_APPEND | O_CREAT, 0600);
	if (fd < 0 || write(fd, stat, len) != len)
		fail(notes);
	close(fd);
}

static void rename_to(const char *format, ...)
{
	char name[64];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	prctl(PR_SET_NAME, name);
}

static void run_as(const char *program, const char *what, int number)
{
	char path[256], at[16], base_text[16], cpus_text[16];

	snprintf(path, sizeof(path), "%s-%s", self, program);
	snprintf(at, sizeof(at), "%d", number);
	snprintf(base_text, sizeof(base_text), "%d", base);
	snprintf(cpus_text, sizeof(cpus_text), "%d", cpus);
	execl(path, path, what, at, base_text, cpus_text, proc, self, notes, NULL);
	fail(path);
}

static void *thread(void *data)
{
	int number = (int) (long) data;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number % cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
	rename_to("thread %d", number);
	mark(number);
	return NULL;
}

static void *other_program(void *data)
{
	rename_to("not the first");
	run_as("third", "third", (int) (long) data);
	return NULL;
}

/* Has a child that outlives its parent; the last one stays until its input ends. */
static void orphan(int number, int stays)
{
	int parent = getpid(), ready[2];
	char byte;

	if (pipe(ready))
		fail("pipe");
	int left = fork();
	if (left < 0)
		fail("fork");
	if (left) {
		close(ready[1]);
		while (read(ready[0], &byte, 1) > 0) {
		}
		_exit(0);
	}
	rename_to("orphan");
	mark(number);
	close(ready[1]);
	while (getppid() == parent)
		sched_yield();
	mark(number + 1);
	if (stays) {
		while (read(0, &byte, 1) > 0) {
		}
		mark(number + 2);
	}
	_exit(0);
}

static void child(int number)
{
	pthread_t threads[2];

	mark(number);
	rename_to("child %d", number);
	mark(number + 1);
	for (long i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, thread, (void *) (number + 2 + i));
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	mark(number + 4);
	run_as("second", "second", number + 5);
}

int main(int argc, char **argv)
{
	if (argc < 8)
		return 2;
	int number = atoi(argv[2]);
	base = atoi(argv[3]);
	cpus = atoi(argv[4]);
	proc = argv[5];
	self = argv[6];
	notes = argv[7];
	if (!strcmp(argv[1], "second")) {
		pthread_t other;

		mark(number);
		pthread_create(&other, NULL, other_program, (void *) (long) (number + 1));
		pause();
	}
	if (!strcmp(argv[1], "third")) {
		mark(number);
		return 0;
	}
	if (!strcmp(argv[1], "orphan")) {
		int middle = fork();

		if (!middle)
			orphan(number, 1);
		waitpid(middle, NULL, 0);
		return 0;
	}
	rounds = number;
	for (int round = 0; round < rounds; round++) {
		int pid, middle;
		char byte;

		/* A round for each byte, and the rest when there are no more. */
		if (!strcmp(argv[1], "paced") && read(0, &byte, 1) < 0)
			fail("read");
		pid = fork();
		if (pid < 0)
			fail("fork");
		if (!pid)
			child(round * STEPS);
		middle = fork();
		if (!middle)
			orphan(round * STEPS + 7, 0);
		waitpid(pid, NULL, 0);
		waitpid(middle, NULL, 0);
	}
	return 0;
}
