#pragma once

/*
 * The descriptors that came with the process, sd_listen_fds(3): sockets of systemd's socket units,
 * and what an earlier echod left for this one, in systemd's descriptor store or over an execve(2).
 * The latter have the names below, which are short, since all names travel in one environment
 * variable (128 KiB at most, execve(2)). Whatever has another name is a socket unit's.
 *
 * Everybody takes what is theirs at start; inherited_settle() then closes or reports the rest. A
 * socket unit's socket can be taken again: the service manager holds it, too, and keeps it in the
 * kernel's eyes listening, so a copy is kept here for as long as the process lives.
 */

#include <stdbool.h>
#include <stddef.h>

struct address;

#define INHERITED_CONNECTION "c"
#define INHERITED_LISTENER   "l" /* bound by echod itself */
#define INHERITED_STATE      "s"

struct inherited_descriptor;

struct inherited {
        struct inherited_descriptor *descriptors;
        size_t n_descriptors, capacity;
};

/*
 * Takes the descriptors over, close-on-exec, and removes the variables from the environment. There
 * may be none. -EINVAL: the variables make no sense; -EBADF: such a descriptor is not open;
 * -ENOMEM. To be freed with inherited_free(), after a failure too.
 */
int inherited_open(struct inherited *ret_inherited);

/*
 * The same with so many descriptors from `first` on, and their names, each of which is allocated
 * and belongs to `ret_inherited` from now on. -ENOMEM: they are still the caller's.
 */
int inherited_init(struct inherited *ret_inherited, int first, size_t n, char **names);

/*
 * Adds one that came another way, over an execve(2), under one of the names above or that of a
 * socket unit's. -ENOMEM: it is still the caller's.
 */
int inherited_add(struct inherited *inherited, int descriptor, const char *name);

/* Whether an earlier echod has left anything, taken or not. */
bool inherited_is_legacy(const struct inherited *inherited);

/* Visits the socket units' sockets, which stay where they are. */
void inherited_for_each_external(const struct inherited *inherited,
                                 void (*visit)(void *user, int descriptor, const char *name),
                                 void *user);

/*
 * The listening stream socket that is bound to this address; its port 0 stands for any
 * that nobody has taken yet, as in bind(2). `path` is for AF_UNIX. `wants_dual_stack`: it is
 * ::, and IPv4 comes in there, too; otherwise it does not. The descriptor is the caller's. -ENOENT:
 * there is none. -EMFILE, -ENFILE. *ret_is_external: it is a socket unit's; else an earlier
 * echod's.
 */
int inherited_take(struct inherited *inherited, const struct address *address, const char *path,
                   bool wants_dual_stack, bool *ret_is_external);

/*
 * All descriptors that an earlier echod left under one of the names above, in the order in which
 * they came. They and the array are the caller's; none: NULL. -ENOMEM: nothing was taken.
 */
int inherited_take_all(struct inherited *inherited, const char *name, int **ret_descriptors,
                       size_t *ret_n_descriptors);

/*
 * Closes what an earlier echod left and nobody took; the file of a Unix socket goes, too. Reports
 * each descriptor of a socket unit that nobody took, with number, name and address, and says how
 * many there were.
 */
unsigned inherited_settle(struct inherited *inherited,
                          void (*report)(void *user, const char *problem), void *user);

/* Closes what is left, the copies of socket units' sockets included. */
void inherited_free(struct inherited *inherited);
