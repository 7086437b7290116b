/* Loaded before the C library (LD_PRELOAD), it kills its process as this is about to make the nth of
 * the calls below, counted over all threads: those that change a file or a folder, make it durable,
 * take a lock, or say something to a server.
 *
 * DIES_AT  n, from 1; without it the process lives
 * COUNTED  a file that gets the number of calls when a process ends that lived
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_long calls;
static long dies_at;

__attribute__((constructor)) static void begin(void) {
  const char *n = getenv("DIES_AT");
  dies_at = n ? atol(n) : 0;
}

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("COUNTED");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (file) {
    fprintf(file, "%ld", atomic_load(&calls));
    fclose(file);
  }
}

static void *counted(const char *name) {
  if (atomic_fetch_add(&calls, 1) + 1 == dies_at) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  return dlsym(RTLD_NEXT, name);
}

#define MORTAL(type, name, parameters, ...)                 \
  type name parameters {                                    \
    type(*real) parameters = (type(*) parameters)counted(#name); \
    return real(__VA_ARGS__);                               \
  }

MORTAL(ssize_t, pwrite, (int fd, const void *from, size_t size, off_t at), fd, from, size, at)
MORTAL(ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t at), fd, from, size, at)
MORTAL(int, ftruncate, (int fd, off_t size), fd, size)
MORTAL(int, ftruncate64, (int fd, off64_t size), fd, size)
MORTAL(int, fsync, (int fd), fd)
MORTAL(int, fdatasync, (int fd), fd)
MORTAL(int, link, (const char *from, const char *to), from, to)
MORTAL(int, rename, (const char *from, const char *to), from, to)
MORTAL(int, unlink, (const char *path), path)
MORTAL(ssize_t, send, (int fd, const void *from, size_t size, int flags), fd, from, size, flags)

static int locked(const char *name, int fd, int what, void *with) {
  int (*real)(int, int, ...) = (int (*)(int, int, ...))counted(name);
  return real(fd, what, with);
}

#define MORTAL_LOCK(name)               \
  int name(int fd, int what, ...) {     \
    va_list rest;                       \
    va_start(rest, what);               \
    void *with = va_arg(rest, void *);  \
    va_end(rest);                       \
    return locked(#name, fd, what, with); \
  }

MORTAL_LOCK(fcntl)
MORTAL_LOCK(fcntl64)
