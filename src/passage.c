#include "passage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#define VARIABLE "ECHOD_HANDOVER"

/* Standard streams go through on their own. */
#define LOWEST (STDERR_FILENO + 1)

static int set_stays(int descriptor, bool stays)
{
        return fcntl(descriptor, F_SETFD, stays ? 0 : FD_CLOEXEC) < 0 ? -errno : 0;
}

int passage_keep(struct passage *passage, int descriptor, const char *name)
{
        char *names;

        passage->highest = MAX(passage->highest, descriptor);
        if (!name)
                return set_stays(descriptor, true);
        if (asprintf(&names, "%s:%d:%s", passage->names ? passage->names : "", descriptor, name) <
            0)
                return -ENOMEM;
        free(passage->names);
        passage->names = names;
        return set_stays(descriptor, true);
}

int passage_announce(const struct passage *passage)
{
        CLEANUP_FREE char *value = NULL;

        if (asprintf(&value, "%d%s", passage->highest, passage->names ? passage->names : "") < 0) {
                value = NULL;
                return -ENOMEM;
        }
        return setenv(VARIABLE, value, true) < 0 ? -errno : 0;
}

void passage_undo(struct passage *passage)
{
        for (int descriptor = LOWEST; descriptor <= passage->highest; descriptor++)
                set_stays(descriptor, false); /* what is not open does not mind */
        unsetenv(VARIABLE);
        free(passage->names);
        *passage = PASSAGE_NULL;
}

/* -1: it is not a number that a descriptor can have. */
static int parse_number(const char *text)
{
        char *end;
        long number;

        errno = 0;
        number = text ? strtol(text, &end, 10) : -1;
        return number < 0 || number > INT_MAX || errno != 0 || end == text || *end ? -1
                                                                                   : (int)number;
}

/* What cannot be told of is closed: nobody would ever do it. */
static int add(struct inherited *inherited, int descriptor, const char *name)
{
        int r = set_stays(descriptor, false);

        if (r == 0)
                r = inherited_add(inherited, descriptor, name);
        if (r < 0)
                close(descriptor);
        return r;
}

/* Those with a name. `text`: [NUMBER:NAME]... */
static int add_named(struct inherited *inherited, char *text)
{
        int r = 0, added;

        while (text) {
                int descriptor = parse_number(strsep(&text, ":"));
                const char *name = strsep(&text, ":");

                if (descriptor < LOWEST || !name)
                        return -EINVAL;
                added = add(inherited, descriptor, name);
                r = MIN(r, added);
        }
        return r;
}

/* A connection or a listening socket that stayed open. */
static int add_socket(struct inherited *inherited, int descriptor)
{
        int flags = fcntl(descriptor, F_GETFD), is_listening;

        if (flags < 0 || flags & FD_CLOEXEC ||
            getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &is_listening,
                       &(socklen_t){sizeof(is_listening)}) < 0)
                return 0;
        return add(inherited, descriptor, is_listening ? INHERITED_LISTENER : INHERITED_CONNECTION);
}

int passage_receive(struct inherited *inherited)
{
        const char *value = getenv(VARIABLE);
        CLEANUP_FREE char *copy = value ? strdup(value) : NULL;
        char *rest = copy;
        int highest, added, r;

        if (!value)
                return 0;
        unsetenv(VARIABLE);
        if (!copy)
                return -ENOMEM;
        highest = parse_number(strsep(&rest, ":"));
        if (highest < 0)
                return -EINVAL;
        r = add_named(inherited, rest);
        for (int descriptor = LOWEST; descriptor <= highest; descriptor++) {
                added = add_socket(inherited, descriptor);
                r = MIN(r, added);
        }
        return r;
}
