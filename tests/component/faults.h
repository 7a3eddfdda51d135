#pragma once

/*
 * Fault injection: the linker sends what production code calls through here (--wrap, see
 * meson.build), so that a chosen call fails, or transfers less than it could. Production code
 * itself is what ships. Any thread may call; one thread gives the orders.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_target {
        FAULT_READ,
        FAULT_RECV,
        FAULT_WRITE,
        FAULT_SPLICE_IN,  /* into a pipe */
        FAULT_SPLICE_OUT, /* of a pipe */
        FAULT_PIPE2,
        FAULT_FCNTL,
        FAULT_ACCEPT4,
        FAULT_SOCKET,
        FAULT_BIND,
        FAULT_LISTEN,
        FAULT_SETSOCKOPT,
        FAULT_CHMOD,
        FAULT_GETRLIMIT,
        FAULT_SETRLIMIT,
        FAULT_MALLOC,
        FAULT_CALLOC,
        FAULT_REALLOC,
        FAULT_ALIGNED_ALLOC,
        FAULT_MMAP,
        FAULT_UV_LOOP_INIT,
        FAULT_UV_ASYNC_INIT,
        FAULT_UV_TIMER_INIT,
        FAULT_UV_TIMER_START,
        FAULT_UV_POLL_INIT,
        FAULT_UV_POLL_START,
        FAULT_UV_MUTEX_INIT,
        FAULT_UV_THREAD_CREATE,
        FAULT_SIGNALFD,
        FAULT_EPOLL_CREATE1,
        FAULT_EPOLL_CTL,
        FAULT_GETRANDOM,
        FAULT_MEMFD_CREATE,
        FAULT_SOCKETPAIR,
        FAULT_SENDMSG,
        FAULT_STRDUP,
        FAULT_UV_SEM_INIT,
        FAULT_MHD_START_DAEMON,
        N_FAULT_TARGETS,
};

/* From the `nth` call from now on (1: the next), `count` calls fail with this errno. */
void faults_fail(enum fault_target target, unsigned nth, unsigned count, int error);

/* Nothing fails any more, and nothing is cut. */
void faults_clear(void);

/* Whether a call has failed since the last faults_fail(). */
bool faults_have_struck(void);

/* Calls so far, those that failed included. */
unsigned faults_n_calls(enum fault_target target);

/* Calls so far of whatever allocates memory. */
unsigned faults_n_allocations(void);

/*
 * The next write (or splice out of a pipe) takes `length` bytes (0: EAGAIN at once), the one after
 * it fails with EAGAIN.
 */
void faults_cut_write(size_t length);

/* The same for every write from now on. */
void faults_cut_writes(size_t length);

/* Every read, and every recv(2) but a peek, gets at most so many bytes. 0: as many as there are. */
void faults_cut_reads(size_t length);

/*
 * Calls `operation` again and again, each time with another one of its calls to fail, until it has
 * been through with none left to fail. It finds out by faults_have_struck(). Each target fails with
 * an error that is usual for it.
 */
void faults_force_each(void (*operation)(void *user), void *user);

/*
 * For an `operation` whose beginning is not to fail: nothing fails until faults_begin(), and what
 * was to fail is counted from there.
 */
void faults_postpone(void);
void faults_begin(void);

/* Lines in the log so far that contain `needle`. Standard error itself never fails. */
unsigned faults_n_logged(const char *needle);

/* Called in place of telling the service manager that the daemon is ready; NULL: nobody. */
extern void (*faults_on_ready)(void);
