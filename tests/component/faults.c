#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#ifdef HAVE_MICROHTTPD
#include <microhttpd.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

struct plan {
        atomic_uint n_calls;
        atomic_uint first, last; /* of the calls that fail; 0: none */
        atomic_int error;
};

static struct plan plans[N_FAULT_TARGETS];
static atomic_bool has_struck;
static atomic_size_t read_length, write_length;
static atomic_bool is_write_cut, is_cut_repeated, is_write_full;

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static char logged[1 << 18];
static size_t n_logged;

void (*faults_on_ready)(void);

static const int USUAL_ERRORS[N_FAULT_TARGETS] = {
        [FAULT_READ] = EIO,
        [FAULT_RECV] = EIO,
        [FAULT_WRITE] = EIO,
        [FAULT_SPLICE_IN] = ECONNRESET,
        [FAULT_SPLICE_OUT] = EPIPE,
        [FAULT_PIPE2] = EMFILE,
        [FAULT_FCNTL] = EPERM,
        [FAULT_ACCEPT4] = EMFILE,
        [FAULT_SOCKET] = EMFILE,
        [FAULT_BIND] = EADDRINUSE,
        [FAULT_LISTEN] = EADDRINUSE,
        [FAULT_SETSOCKOPT] = ENOBUFS,
        [FAULT_CHMOD] = EPERM,
        [FAULT_GETRLIMIT] = EFAULT,
        [FAULT_SETRLIMIT] = EPERM,
        [FAULT_MALLOC] = ENOMEM,
        [FAULT_CALLOC] = ENOMEM,
        [FAULT_REALLOC] = ENOMEM,
        [FAULT_ALIGNED_ALLOC] = ENOMEM,
        [FAULT_MMAP] = ENOMEM,
        [FAULT_UV_LOOP_INIT] = EMFILE,
        [FAULT_UV_ASYNC_INIT] = EMFILE,
        [FAULT_UV_TIMER_INIT] = ENOMEM,
        [FAULT_UV_TIMER_START] = EINVAL,
        [FAULT_UV_POLL_INIT] = ENOSPC, /* what epoll_ctl(2) says at max_user_watches */
        [FAULT_UV_POLL_START] = ENOSPC,
        [FAULT_UV_MUTEX_INIT] = ENOMEM,
        [FAULT_UV_THREAD_CREATE] = EAGAIN,
        [FAULT_SIGNALFD] = EMFILE,
        [FAULT_EPOLL_CREATE1] = EMFILE,
        [FAULT_EPOLL_CTL] = ENOSPC, /* at max_user_watches */
        [FAULT_GETRANDOM] = ENOSYS,
        [FAULT_UV_SEM_INIT] = EAGAIN,
        [FAULT_MEMFD_CREATE] = EMFILE,
        [FAULT_SOCKETPAIR] = EMFILE,
        [FAULT_SENDMSG] = ETOOMANYREFS,
        [FAULT_STRDUP] = ENOMEM,
        [FAULT_MHD_START_DAEMON] = ENOMEM,
};

void faults_fail(enum fault_target target, unsigned nth, unsigned count, int error)
{
        struct plan *plan = &plans[target];
        unsigned first = atomic_load(&plan->n_calls) + nth;

        atomic_store(&has_struck, false);
        atomic_store(&plan->error, error);
        atomic_store(&plan->last, first + count - 1);
        atomic_store(&plan->first, first);
}

void faults_clear(void)
{
        for (unsigned i = 0; i < N_FAULT_TARGETS; i++)
                atomic_store(&plans[i].first, 0);
        atomic_store(&is_write_cut, false);
        atomic_store(&is_cut_repeated, false);
        atomic_store(&is_write_full, false);
        atomic_store(&read_length, 0);
}

bool faults_have_struck(void)
{
        return atomic_load(&has_struck);
}

unsigned faults_n_calls(enum fault_target target)
{
        return atomic_load(&plans[target].n_calls);
}

unsigned faults_n_allocations(void)
{
        return faults_n_calls(FAULT_MALLOC) + faults_n_calls(FAULT_CALLOC) +
               faults_n_calls(FAULT_REALLOC) + faults_n_calls(FAULT_ALIGNED_ALLOC) +
               faults_n_calls(FAULT_MMAP);
}

void faults_cut_write(size_t length)
{
        atomic_store(&write_length, length);
        atomic_store(&is_write_full, false);
        atomic_store(&is_write_cut, true);
}

void faults_cut_writes(size_t length)
{
        faults_cut_write(length);
        atomic_store(&is_cut_repeated, true);
}

void faults_cut_reads(size_t length)
{
        atomic_store(&read_length, length);
}

/* What faults_force_each() has fail now. */
static enum fault_target forced_target;
static unsigned forced_nth;

void faults_postpone(void)
{
        faults_clear();
}

void faults_begin(void)
{
        faults_fail(forced_target, forced_nth, 1, USUAL_ERRORS[forced_target]);
}

void faults_force_each(void (*operation)(void *user), void *user)
{
        for (unsigned target = 0; target < N_FAULT_TARGETS; target++) {
                bool is_left = true;

                for (unsigned nth = 1; is_left; nth++) {
                        forced_target = target;
                        forced_nth = nth;
                        faults_clear();
                        faults_begin();
                        operation(user);
                        is_left = faults_have_struck();
                }
        }
        faults_clear();
}

unsigned faults_n_logged(const char *needle)
{
        unsigned n = 0;

        pthread_mutex_lock(&log_mutex);
        for (const char *at = logged; (at = strstr(at, needle)); at = strchr(at, '\n'))
                n++;
        pthread_mutex_unlock(&log_mutex);
        return n;
}

/* Counts the call; whether it is to fail, with errno set. */
static bool strikes(enum fault_target target)
{
        struct plan *plan = &plans[target];
        unsigned call = atomic_fetch_add(&plan->n_calls, 1) + 1;
        unsigned first = atomic_load(&plan->first);

        if (first == 0 || call - first > atomic_load(&plan->last) - first)
                return false;
        atomic_store(&has_struck, true);
        errno = atomic_load(&plan->error);
        return true;
}

/* How many of the bytes the write takes; -1: none, with errno set. */
static ssize_t cut_write(size_t length)
{
        size_t cut = atomic_load(&write_length);
        bool is_full = atomic_load(&is_write_full);

        if (!atomic_load(&is_write_cut))
                return (ssize_t)length;
        if (is_full || cut == 0) {
                atomic_store(&is_write_full, false);
                atomic_store(&is_write_cut, atomic_load(&is_cut_repeated));
                errno = EAGAIN;
                return -1;
        }
        atomic_store(&is_write_full, true);
        return (ssize_t)(length < cut ? length : cut);
}

static void keep_log(const void *bytes, size_t length)
{
        pthread_mutex_lock(&log_mutex);
        if (length < sizeof(logged) - n_logged) {
                memcpy(logged + n_logged, bytes, length);
                n_logged += length;
        }
        pthread_mutex_unlock(&log_mutex);
}

ssize_t __real_read(int descriptor, void *bytes, size_t length);
ssize_t __wrap_read(int descriptor, void *bytes, size_t length);
ssize_t __wrap_read(int descriptor, void *bytes, size_t length)
{
        size_t most = atomic_load(&read_length);

        if (strikes(FAULT_READ))
                return -1;
        return __real_read(descriptor, bytes, most > 0 && length > most ? most : length);
}

ssize_t __real_recv(int descriptor, void *bytes, size_t length, int flags);
ssize_t __wrap_recv(int descriptor, void *bytes, size_t length, int flags);
ssize_t __wrap_recv(int descriptor, void *bytes, size_t length, int flags)
{
        size_t most = atomic_load(&read_length);

        if (strikes(FAULT_RECV))
                return -1;
        if (most == 0 || (flags & MSG_PEEK))
                most = length;
        return __real_recv(descriptor, bytes, length > most ? most : length, flags);
}

ssize_t __real_write(int descriptor, const void *bytes, size_t length);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t length);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t length)
{
        ssize_t taken;

        if (descriptor == STDERR_FILENO) {
                keep_log(bytes, length);
                return __real_write(descriptor, bytes, length);
        }
        if (strikes(FAULT_WRITE))
                return -1;
        taken = cut_write(length);
        return taken < 0 ? -1 : __real_write(descriptor, bytes, (size_t)taken);
}

static bool is_pipe(int descriptor)
{
        struct stat status;

        return fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
}

ssize_t __real_splice(int in, off64_t *at, int out, off64_t *to, size_t length, unsigned flags);
ssize_t __wrap_splice(int in, off64_t *at, int out, off64_t *to, size_t length, unsigned flags);
ssize_t __wrap_splice(int in, off64_t *at, int out, off64_t *to, size_t length, unsigned flags)
{
        bool is_out = is_pipe(in);
        ssize_t taken = (ssize_t)length;

        if (strikes(is_out ? FAULT_SPLICE_OUT : FAULT_SPLICE_IN))
                return -1;
        if (is_out)
                taken = cut_write(length);
        return taken < 0 ? -1 : __real_splice(in, at, out, to, (size_t)taken, flags);
}

int __real_fcntl64(int descriptor, int command, long argument);
int __wrap_fcntl64(int descriptor, int command, long argument);
int __wrap_fcntl64(int descriptor, int command, long argument)
{
        return strikes(FAULT_FCNTL) ? -1 : __real_fcntl64(descriptor, command, argument);
}

void __real_service_manager_ready(void);
void __wrap_service_manager_ready(void);
void __wrap_service_manager_ready(void)
{
        if (faults_on_ready)
                faults_on_ready();
        else
                __real_service_manager_ready();
}

/* A function that fails with `failure`, which errno explains. */
#define WRAP(type, name, target, failure, parameters, arguments)              \
        type __real_##name parameters;                                        \
        type __wrap_##name parameters;                                        \
        type __wrap_##name parameters                                         \
        {                                                                     \
                return strikes(target) ? (failure) : __real_##name arguments; \
        }

WRAP(int, pipe2, FAULT_PIPE2, -1, (int ends[2], int flags), (ends, flags))
WRAP(int, accept4, FAULT_ACCEPT4, -1,
     (int descriptor, struct sockaddr *address, socklen_t *length, int flags),
     (descriptor, address, length, flags))
WRAP(int, socket, FAULT_SOCKET, -1, (int family, int type, int protocol), (family, type, protocol))
WRAP(int, bind, FAULT_BIND, -1, (int descriptor, const struct sockaddr *address, socklen_t length),
     (descriptor, address, length))
WRAP(int, listen, FAULT_LISTEN, -1, (int descriptor, int backlog), (descriptor, backlog))
WRAP(int, setsockopt, FAULT_SETSOCKOPT, -1,
     (int descriptor, int level, int option, const void *value, socklen_t length),
     (descriptor, level, option, value, length))
WRAP(int, chmod, FAULT_CHMOD, -1, (const char *path, mode_t mode), (path, mode))
/* With _FILE_OFFSET_BITS=64 these are the names that getrlimit(2) and setrlimit(2) go by. */
WRAP(int, getrlimit64, FAULT_GETRLIMIT, -1, (int resource, struct rlimit64 *limit),
     (resource, limit))
WRAP(int, setrlimit64, FAULT_SETRLIMIT, -1, (int resource, const struct rlimit64 *limit),
     (resource, limit))

WRAP(void *, malloc, FAULT_MALLOC, NULL, (size_t size), (size))
WRAP(void *, calloc, FAULT_CALLOC, NULL, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, FAULT_REALLOC, NULL, (void *memory, size_t size), (memory, size))
WRAP(void *, aligned_alloc, FAULT_ALIGNED_ALLOC, NULL, (size_t alignment, size_t size),
     (alignment, size))

/* With _FILE_OFFSET_BITS=64 this is the name that mmap(2) goes by. */
WRAP(void *, mmap64, FAULT_MMAP, MAP_FAILED,
     (void *address, size_t length, int protection, int flags, int descriptor, off_t offset),
     (address, length, protection, flags, descriptor, offset))

WRAP(int, uv_loop_init, FAULT_UV_LOOP_INIT, -errno, (uv_loop_t * loop), (loop))
WRAP(int, uv_async_init, FAULT_UV_ASYNC_INIT, -errno,
     (uv_loop_t * loop, uv_async_t *async, uv_async_cb callback), (loop, async, callback))
WRAP(int, uv_timer_init, FAULT_UV_TIMER_INIT, -errno, (uv_loop_t * loop, uv_timer_t *timer),
     (loop, timer))
WRAP(int, uv_timer_start, FAULT_UV_TIMER_START, -errno,
     (uv_timer_t * timer, uv_timer_cb callback, uint64_t timeout, uint64_t repeat),
     (timer, callback, timeout, repeat))
WRAP(int, uv_poll_init, FAULT_UV_POLL_INIT, -errno,
     (uv_loop_t * loop, uv_poll_t *poll, int descriptor), (loop, poll, descriptor))
WRAP(int, uv_poll_start, FAULT_UV_POLL_START, -errno,
     (uv_poll_t * poll, int events, uv_poll_cb callback), (poll, events, callback))
WRAP(int, uv_mutex_init, FAULT_UV_MUTEX_INIT, -errno, (uv_mutex_t * mutex), (mutex))
WRAP(int, uv_thread_create, FAULT_UV_THREAD_CREATE, -errno,
     (uv_thread_t * thread, uv_thread_cb entry, void *user), (thread, entry, user))
WRAP(int, epoll_create1, FAULT_EPOLL_CREATE1, -1, (int flags), (flags))

int __real_epoll_ctl(int set, int operation, int descriptor, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int operation, int descriptor, struct epoll_event *event);
int __wrap_epoll_ctl(int set, int operation, int descriptor, struct epoll_event *event)
{
        /* To delete needs nothing that could be short. */
        if (operation != EPOLL_CTL_DEL && strikes(FAULT_EPOLL_CTL))
                return -1;
        return __real_epoll_ctl(set, operation, descriptor, event);
}

WRAP(int, signalfd, FAULT_SIGNALFD, -1, (int descriptor, const sigset_t *set, int flags),
     (descriptor, set, flags))
WRAP(ssize_t, getrandom, FAULT_GETRANDOM, -1, (void *bytes, size_t length, unsigned flags),
     (bytes, length, flags))
WRAP(int, memfd_create, FAULT_MEMFD_CREATE, -1, (const char *name, unsigned flags), (name, flags))
WRAP(int, socketpair, FAULT_SOCKETPAIR, -1,
     (int family, int type, int protocol, int descriptors[2]),
     (family, type, protocol, descriptors))
WRAP(ssize_t, sendmsg, FAULT_SENDMSG, -1, (int descriptor, const struct msghdr *message, int flags),
     (descriptor, message, flags))
WRAP(char *, strdup, FAULT_STRDUP, NULL, (const char *text), (text))
WRAP(int, uv_sem_init, FAULT_UV_SEM_INIT, -errno, (uv_sem_t * semaphore, unsigned value),
     (semaphore, value))

#ifdef HAVE_MICROHTTPD
struct MHD_Daemon *__real_MHD_start_daemon(unsigned flags, uint16_t port, MHD_AcceptPolicyCallback,
                                           void *, MHD_AccessHandlerCallback, void *, ...);
struct MHD_Daemon *__wrap_MHD_start_daemon(unsigned flags, uint16_t port, MHD_AcceptPolicyCallback,
                                           void *, MHD_AccessHandlerCallback, void *, ...);
struct MHD_Daemon *__wrap_MHD_start_daemon(unsigned flags, uint16_t port,
                                           MHD_AcceptPolicyCallback accepts, void *accepts_user,
                                           MHD_AccessHandlerCallback handler, void *handler_user,
                                           ...)
{
        struct MHD_Daemon *daemon;
        va_list options;

        if (strikes(FAULT_MHD_START_DAEMON))
                return NULL;
        va_start(options, handler_user);
        daemon = MHD_start_daemon_va(flags, port, accepts, accepts_user, handler, handler_user,
                                     options);
        va_end(options);
        return daemon;
}
#endif
