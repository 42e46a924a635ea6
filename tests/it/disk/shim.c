/*
 * A disk that misbehaves, for one program: loaded before the C library (LD_PRELOAD), it stands in for the calls that
 * read and change files, for those whose path begins with $DISK_PATH.
 *
 * $DISK_ORDERS names a file that says what happens from now on, looked at on each call: "errno ops milliseconds". The
 * calls named in ops wait so long, then fail with that errno unless it is 0. Ops are letters: w write, s sync,
 * t truncate, o open for writing, n rename and unlink, r read.
 *
 * $DISK_NTH counts the calls that change something (all but r), from 1; the one with this number is struck as
 * $DISK_STRIKE says: "kill" ends the process before it, "torn" in the middle of a write, a number makes it and all
 * later ones fail with that errno. $DISK_STRUCK is a file that is made when it happens.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int path_is_ours(const char *path)
{
    const char *ours = getenv("DISK_PATH");
    return ours && path && strncmp(path, ours, strlen(ours)) == 0;
}

static int fd_is_ours(int fd)
{
    char link[64], path[PATH_MAX];
    if (!getenv("DISK_PATH"))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return 0;
    path[n] = 0;
    return path_is_ours(path);
}

static void end_now(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* What the orders say of this call: an errno, or 0. */
static int ordered(char op)
{
    const char *orders = getenv("DISK_ORDERS");
    char text[64] = {0}, ops[16] = {0};
    int error = 0, ms = 0;
    if (!orders)
        return 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, orders, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    if (n <= 0 || sscanf(text, "%d %15s %d", &error, ops, &ms) != 3 || !strchr(ops, op))
        return 0;
    struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&wait, NULL);
    return error;
}

/* What happens to this call: 0 nothing, an errno, or -1 for a write that ends the process half-way. */
static int struck(char op)
{
    int error = ordered(op);
    const char *nth = getenv("DISK_NTH"), *how = getenv("DISK_STRIKE"), *mark = getenv("DISK_STRUCK");
    if (error || op == 'r' || !nth || !how)
        return error;
    long number = atomic_fetch_add(&calls, 1) + 1, wanted = atol(nth);
    if (number < wanted)
        return 0;
    if (mark && number == wanted)
        syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY, 0600));
    if (strcmp(how, "torn") == 0 && op == 'w')
        return -1;
    if (strcmp(how, "kill") == 0 || strcmp(how, "torn") == 0)
        end_now();
    return atoi(how);
}

#define STRIKE(ours, op)                                                                                               \
    int strike = (ours) ? struck(op) : 0;                                                                              \
    if (strike > 0) {                                                                                                  \
        errno = strike;                                                                                                \
        return -1;                                                                                                     \
    }

ssize_t write(int fd, const void *from, size_t count)
{
    STRIKE(fd_is_ours(fd), 'w')
    if (strike < 0) {
        REAL(write)(fd, from, count / 2);
        end_now();
    }
    return REAL(write)(fd, from, count);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at)
{
    STRIKE(fd_is_ours(fd), 'w')
    if (strike < 0) {
        REAL(pwrite64)(fd, from, count / 2, at);
        end_now();
    }
    return REAL(pwrite64)(fd, from, count, at);
}

ssize_t read(int fd, void *to, size_t count)
{
    STRIKE(fd_is_ours(fd), 'r')
    return REAL(read)(fd, to, count);
}

ssize_t pread64(int fd, void *to, size_t count, off64_t at)
{
    STRIKE(fd_is_ours(fd), 'r')
    return REAL(pread64)(fd, to, count, at);
}

int fsync(int fd)
{
    STRIKE(fd_is_ours(fd), 's')
    return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    STRIKE(fd_is_ours(fd), 's')
    return REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t length)
{
    STRIKE(fd_is_ours(fd), 't')
    return REAL(ftruncate64)(fd, length);
}

int ftruncate(int fd, off_t length)
{
    STRIKE(fd_is_ours(fd), 't')
    return REAL(ftruncate)(fd, length);
}

int unlink(const char *path)
{
    STRIKE(path_is_ours(path), 'n')
    return REAL(unlink)(path);
}

int rename(const char *from, const char *to)
{
    STRIKE(path_is_ours(from), 'n')
    return REAL(rename)(from, to);
}

static mode_t mode_of(int flags, va_list more)
{
    return flags & O_CREAT ? (mode_t)va_arg(more, int) : 0;
}

#define FOR_WRITING(flags) ((flags) & (O_CREAT | O_WRONLY | O_RDWR))

int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    STRIKE(path_is_ours(path) && FOR_WRITING(flags), 'o')
    return REAL(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    STRIKE(path_is_ours(path) && FOR_WRITING(flags), 'o')
    return REAL(open)(path, flags, mode);
}
