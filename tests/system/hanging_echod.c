/*
 * What makes echod, linked from what ships, hang: a worker that reads one of these texts does not
 * come back, or not for a while.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

ssize_t __real_read(int descriptor, void *buffer, size_t length);
ssize_t __wrap_read(int descriptor, void *buffer, size_t length);

static int is_text(const void *buffer, ssize_t n, const char *text)
{
        return n == (ssize_t)strlen(text) && memcmp(buffer, text, strlen(text)) == 0;
}

ssize_t __wrap_read(int descriptor, void *buffer, size_t length)
{
        ssize_t n = __real_read(descriptor, buffer, length);

        if (is_text(buffer, n, "take a nap"))
                nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
        while (is_text(buffer, n, "hang forever"))
                pause();
        return n;
}
