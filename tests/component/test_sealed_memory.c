#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sealed_memory.h"

Test(sealed_memory, is_what_was_put_in)
{
        const void *bytes;
        size_t length;
        int descriptor = sealed_memory_new("some bytes", 10);

        cr_assert_geq(descriptor, 0);
        cr_assert_eq(sealed_memory_map(descriptor, &bytes, &length), 0);
        cr_assert_eq(length, 10);
        cr_assert_eq(memcmp(bytes, "some bytes", 10), 0);
        cr_assert_eq(write(descriptor, "x", 1), -1, "it can be written to");
        cr_assert_eq(ftruncate(descriptor, 3), -1, "it can be cut");
        sealed_memory_unmap(bytes, length);
        close(descriptor);
}

Test(sealed_memory, what_is_not_sealed_is_refused)
{
        const void *bytes;
        size_t length;
        int descriptor = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        cr_assert_eq(sealed_memory_map(descriptor, &bytes, &length), -EPERM);
        close(descriptor);
        cr_assert_lt(sealed_memory_map(STDERR_FILENO, &bytes, &length), 0);
        descriptor = sealed_memory_new("", 0);
        cr_assert_eq(sealed_memory_map(descriptor, &bytes, &length), -EINVAL);
        close(descriptor);
}
