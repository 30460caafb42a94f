/*
 * The traced application of the system tests. It emits events whose values are functions of
 * (thread, n), and prints each one as babeltrace2 would print it, so that a test can compare the
 * trace with what was really written.
 *
 * Standard output: `ready` once main runs, one line per event (unless --quiet), and `round K` after
 * each round. With --until-told, a round lasts until SIGUSR1. With --stdin, every line read from standard input starts a round (or, `load PATH`,
 * loads a provider; `unload` unloads it; `tick N` emits N of its events; `fork` emits a round in a
 * forked child; `exec` replaces the program by itself) and the end of file ends the program; without
 * it there is one round.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "emitter_provider.h"

enum kind { FIELDS, SMALL, BLOB, LEVELS };

static struct {
	enum kind kind;
	unsigned int threads;
	uint64_t events;
	unsigned int payload;
	uint64_t rate;
	double seconds;
	int until_told;
	int quiet;
	int from_stdin;
	/* Added to the thread numbers, so that several processes stay apart. */
	unsigned int first_thread;
} opt = { .kind = SMALL, .threads = 1, .events = 1, .payload = 16 };

/* How many events of earlier rounds each thread has behind it. */
static uint64_t emitted_before;
static atomic_uint_fast64_t produced;
static atomic_uint_fast64_t longest;
static atomic_int told;

/* ---- values ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void fill(struct values *v, uint32_t thread, uint64_t n)
{
	uint64_t r = mix(((uint64_t) thread << 40) ^ n);
	/* The extremes come first, then anything. */
	static const int64_t corner[] = { 0, -1, INT64_MIN, INT64_MAX, INT32_MIN, INT16_MIN, INT8_MIN, 1 };
	uint64_t x = n < 8 ? (uint64_t) corner[n] : r;

	memset(v, 0, sizeof(*v));
	v->thread = thread;
	v->n = n;
	v->i8 = (int8_t) x;
	v->u8 = (uint8_t) x;
	v->i16 = (int16_t) x;
	v->u16 = (uint16_t) x;
	v->i32 = (int32_t) x;
	v->u32 = (uint32_t) x;
	v->i64 = (int64_t) x;
	v->u64 = x;
	v->f32 = n == 3 ? INFINITY : (float) ((int64_t) (r & 0xffff) - 32768) / 8.0f;
	v->f64 = n == 4 ? -INFINITY : (double) (int64_t) r / 1024.0;
	snprintf(v->string, sizeof(v->string), "%s%" PRIx64 " of thread %" PRIu32,
		n % 5 == 1 ? "caf\xc3\xa9 {[, = " : "", r & 0xffffff, thread);
	/* Never empty: babeltrace2 2.0.4 shows an empty text as what the field held before. */
	if (n % 7 == 2)
		strcpy(v->string, "x");
	snprintf(v->text, sizeof(v->text), "t%u", (unsigned int) (r & 0xffff));
	for (unsigned int i = 0; i < SEQUENCE_MAX; i++) {
		uint64_t e = mix(r + i);

		v->chars[i] = 'a' + e % 26;
		v->bytes[i] = (uint8_t) e;
		v->shorts[i] = (int16_t) e;
		v->words[i] = (int32_t) e;
		v->longs[i] = e;
	}
	v->byte_count = n % (SEQUENCE_MAX + 1);
	v->text_count = 1 + n % SEQUENCE_MAX;
	v->word_count = (n * 3) % (SEQUENCE_MAX + 1);
	v->color = (int8_t) ((int) (n % 10) - 4);
	v->level = n % 6;
}

/* ---- the same as text --------------------------------------------------------------------- */

struct text {
	char buf[8192];
	size_t len;
};

__attribute__((format(printf, 2, 3)))
static void say(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	t->len += vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, format, args);
	va_end(args);
	if (t->len >= sizeof(t->buf))
		abort();
}

/* Ends the line and prints it whole; lines of several threads do not mix. */
static void print(struct text *t)
{
	say(t, " }\n");
	fwrite(t->buf, 1, t->len, stdout);
	t->len = 0;
}

static void say_who(struct text *t, const char *event, const struct values *v)
{
	say(t, "emitter:%s: { thread = %" PRIu32 ", n = %" PRIu64, event, v->thread, v->n);
}

enum how { U8, U8_HEX, I16_SWAPPED, I32, U64_HEX, U64_SWAPPED_HEX };

static void say_elements(struct text *t, const char *name, enum how how, const void *array, unsigned int count)
{
	say(t, ", %s = [", name);
	for (unsigned int i = 0; i < count; i++) {
		say(t, "%s[%u] = ", i ? ", " : " ", i);
		switch (how) {
		case U8:
			say(t, "%u", ((const uint8_t *) array)[i]);
			break;
		case U8_HEX:
			say(t, "0x%X", ((const uint8_t *) array)[i]);
			break;
		case I16_SWAPPED:
			say(t, "%d", (int16_t) __builtin_bswap16(((const uint16_t *) array)[i]));
			break;
		case I32:
			say(t, "%d", ((const int32_t *) array)[i]);
			break;
		case U64_HEX:
			say(t, "0x%" PRIX64, ((const uint64_t *) array)[i]);
			break;
		case U64_SWAPPED_HEX:
			say(t, "0x%" PRIX64, __builtin_bswap64(((const uint64_t *) array)[i]));
			break;
		}
	}
	say(t, " ]");
}

static const char *color_name(int color)
{
	switch (color) {
	case -3: return "\"black\"";
	case -2: return "\"red\"";
	case 0: case 1: case 2: return "\"green\"";
	case 3: return "\"blue\"";
	case 5: return "\"with space\"";
	default: return "<unknown>";
	}
}

static const char *level_name(unsigned int level)
{
	return level == 0 ? "\"none\"" : level == 1 ? "\"low\"" : level <= 4 ? "\"high\"" : "<unknown>";
}

static void print_fields(struct text *t, const struct values *v)
{
	say_who(t, "integers", v);
	say(t, ", i8 = %d, u8 = %u, i16 = %d, u16 = %u, i32 = %d, u32 = %u, i64 = %" PRId64 ", u64 = %" PRIu64,
		v->i8, v->u8, v->i16, v->u16, v->i32, v->u32, v->i64, v->u64);
	say(t, ", character = %d, native = %" PRId64, v->i8, v->i64);
	say(t, ", i8_hex = 0x%X, u8_hex = 0x%X, i16_hex = 0x%X, u32_hex = 0x%X, i64_hex = 0x%" PRIX64 ", u64_hex = 0x%" PRIX64,
		(uint8_t) v->i8, v->u8, (uint16_t) v->i16, v->u32, (uint64_t) v->i64, v->u64);
	say(t, ", i16_net = %d, u16_net = %u, u32_net = %u, i64_net = %" PRId64, v->i16, v->u16, v->u32, v->i64);
	say(t, ", u16_net_hex = 0x%X, u32_net_hex = 0x%X", v->u16, v->u32);
	print(t);

	say_who(t, "reals", v);
	say(t, ", f32 = %g, f64 = %g", v->f32, v->f64);
	print(t);

	say_who(t, "texts", v);
	say(t, ", string = \"%s\", array_text = \"%s\", _sequence_text_length = %u, sequence_text = \"%.*s\"",
		v->string, v->text, v->text_count, v->text_count, v->chars);
	print(t);

	say_who(t, "arrays", v);
	say_elements(t, "bytes", U8, v->bytes, 3);
	say_elements(t, "words", I32, v->words, 2);
	say_elements(t, "bytes_hex", U8_HEX, v->bytes, 3);
	say_elements(t, "longs_hex", U64_HEX, v->longs, 2);
	say_elements(t, "shorts_net", I16_SWAPPED, v->shorts, 2);
	say_elements(t, "longs_net_hex", U64_SWAPPED_HEX, v->longs, 1);
	print(t);

	say_who(t, "sequences", v);
	say(t, ", _bytes_length = %u", v->byte_count);
	say_elements(t, "bytes", U8, v->bytes, v->byte_count);
	say(t, ", _words_length = %u", v->word_count);
	say_elements(t, "words", I32, v->words, v->word_count);
	say(t, ", _longs_hex_length = %u", v->byte_count);
	say_elements(t, "longs_hex", U64_HEX, v->longs, v->byte_count);
	say(t, ", _shorts_net_length = %u", v->word_count);
	say_elements(t, "shorts_net", I16_SWAPPED, v->shorts, v->word_count);
	say(t, ", _longs_net_hex_length = %u", v->word_count);
	say_elements(t, "longs_net_hex", U64_SWAPPED_HEX, v->longs, v->word_count);
	print(t);

	say_who(t, "enums", v);
	say(t, ", color = ( %s : container = %d ), level = ( %s : container = %u )",
		color_name(v->color), v->color, level_name(v->level), v->level);
	print(t);

	say_who(t, "hidden", v);
	say(t, ", seen = %u", v->u8);
	print(t);

	say(t, "emitter:bare: {");
	print(t);
}

/* ---- emitting ----------------------------------------------------------------------------- */

static void emit_fields(struct text *t, uint32_t thread, uint64_t n)
{
	struct values v;

	fill(&v, thread, n);
	lttng_ust_tracepoint(emitter, integers, &v);
	lttng_ust_tracepoint(emitter, reals, &v);
	lttng_ust_tracepoint(emitter, texts, &v);
	lttng_ust_tracepoint(emitter, arrays, &v);
	lttng_ust_tracepoint(emitter, sequences, &v);
	lttng_ust_tracepoint(emitter, enums, &v);
	lttng_ust_tracepoint(emitter, hidden, &v);
	lttng_ust_tracepoint(emitter, bare, 0);
	if (!opt.quiet)
		print_fields(t, &v);
}

static void print_pair(struct text *t, const char *event, uint32_t thread, uint64_t n)
{
	say(t, "emitter:%s: { thread = %" PRIu32 ", n = %" PRIu64, event, thread, n);
	print(t);
}

static void emit_levels(struct text *t, uint32_t thread, uint64_t n)
{
	lttng_ust_tracepoint(emitter, level_crit, thread, n);
	lttng_ust_tracepoint(emitter, level_warning, thread, n);
	lttng_ust_tracepoint(emitter, level_info, thread, n);
	lttng_ust_tracepoint(emitter, level_debug, thread, n);
	if (!opt.quiet) {
		print_pair(t, "level_crit", thread, n);
		print_pair(t, "level_warning", thread, n);
		print_pair(t, "level_info", thread, n);
		print_pair(t, "level_debug", thread, n);
	}
}

static void emit_blob(struct text *t, uint32_t thread, uint64_t n, const char *bytes)
{
	/* `payload` counts the two integers and the length too. */
	uint16_t length = opt.payload - 18;

	lttng_ust_tracepoint(emitter, blob, thread, n, bytes, length);
	if (!opt.quiet) {
		say(t, "emitter:blob: { thread = %" PRIu32 ", n = %" PRIu64 ", _bytes_length = %u, bytes = \"%.*s\"",
			thread, n, length, length, bytes);
		print(t);
	}
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * 1000000000u + ts.tv_nsec;
}

static void wait_until(uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000u, .tv_nsec = ns % 1000000000u };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void tell(int signal)
{
	(void) signal;
	atomic_store(&told, 1);
}

/* Whether a round has more than `i` turns. */
static int goes_on(uint64_t i, uint64_t end)
{
	if (opt.until_told)
		return !atomic_load_explicit(&told, memory_order_relaxed);
	if (opt.seconds > 0)
		return (i & 63) != 0 || now_ns() < end;
	return i < opt.events;
}

static void *emit(void *arg)
{
	uint32_t thread = opt.first_thread + (uint32_t) (uintptr_t) arg;
	uint64_t begin = now_ns(), end = begin + (uint64_t) (opt.seconds * 1e9), i;
	struct text *t = calloc(1, sizeof(*t));
	char *bytes = malloc(65536);

	memset(bytes, 'a' + thread % 26, 65536);
	for (i = 0; goes_on(i, end); i++) {
		uint64_t n = emitted_before + i;

		if (opt.rate)
			wait_until(begin + i * 1000000000u / opt.rate);
		switch (opt.kind) {
		case FIELDS:
			emit_fields(t, thread, n);
			break;
		case SMALL:
			lttng_ust_tracepoint(emitter, small, thread, n);
			if (!opt.quiet)
				print_pair(t, "small", thread, n);
			break;
		case BLOB:
			emit_blob(t, thread, n, bytes);
			break;
		case LEVELS:
			emit_levels(t, thread, n);
			break;
		}
	}
	atomic_fetch_add(&produced, i);
	for (uint64_t most = atomic_load(&longest); most < i;)
		if (atomic_compare_exchange_weak(&longest, &most, i))
			break;
	free(bytes);
	free(t);
	return NULL;
}

/* All threads emit; then says how many events per thread-loop, nanoseconds of wall and CPU it took. */
static void run_round(void)
{
	pthread_t threads[opt.threads];
	static unsigned int round;
	uint64_t begin = now_ns(), wall;
	struct timespec cpu;

	atomic_store(&produced, 0);
	atomic_store(&longest, 0);
	for (unsigned int i = 0; i < opt.threads; i++)
		if (pthread_create(&threads[i], NULL, emit, (void *) (uintptr_t) i))
			abort();
	for (unsigned int i = 0; i < opt.threads; i++)
		pthread_join(threads[i], NULL);
	wall = now_ns() - begin;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	emitted_before += atomic_load(&longest);
	atomic_store(&told, 0);
	printf("round %u loops=%" PRIuFAST64 " wall_ns=%" PRIu64 " cpu_ns=%" PRIu64 "\n", ++round,
		atomic_load(&produced), wall, (uint64_t) cpu.tv_sec * 1000000000u + cpu.tv_nsec);
	fflush(stdout);
}

static void answer(const char *word)
{
	puts(word);
	fflush(stdout);
}

static void serve(char **argv)
{
	void (*tick)(uint64_t) = NULL;
	void *object = NULL;
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "load ", 5)) {
			object = dlopen(line + 5, RTLD_NOW);
			if (!object) {
				fprintf(stderr, "dlopen: %s\n", dlerror());
				exit(1);
			}
			tick = (void (*)(uint64_t)) dlsym(object, "late_tick");
			answer("loaded");
		} else if (!strcmp(line, "unload")) {
			dlclose(object);
			tick = NULL;
			answer("unloaded");
		} else if (!strncmp(line, "tick ", 5) && tick) {
			uint64_t count = strtoull(line + 5, NULL, 10);

			for (uint64_t n = 0; n < count; n++) {
				tick(n);
				if (!opt.quiet)
					printf("late:tick: { n = %" PRIu64 " }\n", n);
			}
			answer("ticked");
		} else if (!strcmp(line, "fork")) {
			pid_t pid;
			int status;

			fflush(stdout);
			pid = fork();
			if (pid == 0) {
				opt.first_thread += 1000;
				run_round();
				exit(0);
			}
			if (waitpid(pid, &status, 0) != pid || status != 0) {
				fprintf(stderr, "child: status %x\n", status);
				exit(1);
			}
			answer("forked");
		} else if (!strcmp(line, "exec")) {
			fflush(stdout);
			execv("/proc/self/exe", argv);
			exit(1);
		} else {
			run_round();
		}
	}
}

static void usage(FILE *to)
{
	fprintf(to, "emitter [--kind fields|small|blob|levels] [--threads N] [--events N per thread]\n"
		"  [--payload BYTES] [--rate N per thread and second] [--seconds S | --until-told instead of --events]\n"
		"  [--first-thread N] [--stdin] [--quiet]\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kind", required_argument, NULL, 'k' }, { "threads", required_argument, NULL, 't' },
		{ "events", required_argument, NULL, 'n' }, { "payload", required_argument, NULL, 'p' },
		{ "rate", required_argument, NULL, 'r' }, { "seconds", required_argument, NULL, 's' },
		{ "until-told", no_argument, NULL, 'u' },
		{ "first-thread", required_argument, NULL, 'f' }, { "stdin", no_argument, NULL, 'i' },
		{ "quiet", no_argument, NULL, 'q' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	static const char *const kinds[] = { "fields", "small", "blob", "levels" };
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'k':
			for (opt.kind = 0; opt.kind < 4 && strcmp(optarg, kinds[opt.kind]); opt.kind++)
				;
			if (opt.kind == 4) {
				usage(stderr);
				return 2;
			}
			break;
		case 't': opt.threads = strtoul(optarg, NULL, 0); break;
		case 'n': opt.events = strtoull(optarg, NULL, 0); break;
		case 'p': opt.payload = strtoul(optarg, NULL, 0); break;
		case 'r': opt.rate = strtoull(optarg, NULL, 0); break;
		case 's': opt.seconds = strtod(optarg, NULL); break;
		case 'u': opt.until_told = 1; break;
		case 'f': opt.first_thread = strtoul(optarg, NULL, 0); break;
		case 'i': opt.from_stdin = 1; break;
		case 'q': opt.quiet = 1; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (opt.threads < 1 || opt.threads > 1024 || (opt.kind == BLOB && (opt.payload < 18 || opt.payload > 60000))) {
		usage(stderr);
		return 2;
	}
	/* So that whatever was printed was emitted before, and what was emitted is printed, up to a kill. */
	if (opt.rate)
		setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGUSR1, &(struct sigaction) { .sa_handler = tell, .sa_flags = SA_RESTART }, NULL);
	answer("ready");
	if (opt.from_stdin)
		serve(argv);
	else
		run_round();
	return 0;
}
