/* Loaded before the C library (LD_PRELOAD), it counts the calls below over all threads of a process:
 * those that change a file or a folder, make it durable, take a lock, or send something to a server.
 * A fork counts anew, by its own environment as its first call finds it.
 *
 * DIES_AT  n, from 1: the process is killed as it is about to make the nth
 * FULL_AT  n, from 1: from the nth on the disk is full, and nothing becomes durable
 * COUNTED  a file that gets the number of calls when the process ends by itself
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long calls;
static atomic_int owner; /* the process that has made them */
static long dies_at, full_at;

static long from_environment(const char *name) {
  const char *number = getenv(name);
  return number ? atol(number) : 0;
}

static void begin(void) {
  if (atomic_load(&owner) == getpid()) return;
  dies_at = from_environment("DIES_AT");
  full_at = from_environment("FULL_AT");
  atomic_store(&calls, 0);
  atomic_store(&owner, getpid());
}

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("COUNTED");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (file) {
    fprintf(file, "%ld", atomic_load(&calls));
    fclose(file);
  }
}

/* Whether the call is to fail, where a full disk makes it fail with `error`, or 0. */
static int counted(int error) {
  begin();
  long now = atomic_fetch_add(&calls, 1) + 1;
  if (now == dies_at) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  if (!error || !full_at || now < full_at) return 0;
  errno = error;
  return 1;
}

#define MORTAL(type, name, error, parameters, ...)                      \
  type name parameters {                                                \
    type(*real) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
    return counted(error) ? -1 : real(__VA_ARGS__);                     \
  }

MORTAL(ssize_t, pwrite, ENOSPC, (int fd, const void *from, size_t size, off_t at), fd, from, size, at)
MORTAL(ssize_t, pwrite64, ENOSPC, (int fd, const void *from, size_t size, off64_t at), fd, from, size, at)
MORTAL(int, ftruncate, ENOSPC, (int fd, off_t size), fd, size)
MORTAL(int, ftruncate64, ENOSPC, (int fd, off64_t size), fd, size)
MORTAL(int, fsync, EIO, (int fd), fd)
MORTAL(int, fdatasync, EIO, (int fd), fd)
MORTAL(int, link, ENOSPC, (const char *from, const char *to), from, to)
MORTAL(int, rename, ENOSPC, (const char *from, const char *to), from, to)
MORTAL(int, unlink, 0, (const char *path), path)
MORTAL(ssize_t, send, 0, (int fd, const void *from, size_t size, int flags), fd, from, size, flags)

/* What goes to a terminal or a pipe needs no disk. */
ssize_t write(int fd, const void *from, size_t size) {
  ssize_t (*real)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  struct stat about;
  int to_disk = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
  return to_disk && counted(ENOSPC) ? -1 : real(fd, from, size);
}

#define MORTAL_LOCK(name)                                                             \
  int name(int fd, int what, ...) {                                                   \
    int (*real)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, #name);     \
    va_list rest;                                                                     \
    va_start(rest, what);                                                             \
    void *with = va_arg(rest, void *);                                                \
    va_end(rest);                                                                     \
    return counted(0) ? -1 : real(fd, what, with);                                    \
  }

MORTAL_LOCK(fcntl)
MORTAL_LOCK(fcntl64)
