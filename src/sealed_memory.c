#include "sealed_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Neither what stands in it nor its length can change, and nobody can undo that. */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int write_all(int descriptor, const char *bytes, size_t length)
{
        while (length > 0) {
                ssize_t n = write(descriptor, bytes, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                bytes += n;
                length -= (size_t)n;
        }
        return 0;
}

int sealed_memory_new(const void *bytes, size_t length)
{
        int descriptor = memfd_create("echod", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

        if (descriptor < 0)
                return -errno;
        r = write_all(descriptor, bytes, length);
        if (r == 0 && fcntl(descriptor, F_ADD_SEALS, SEALS) < 0)
                r = -errno;
        if (r == 0)
                return descriptor;
        close(descriptor);
        return r;
}

int sealed_memory_map(int descriptor, const void **ret_bytes, size_t *ret_length)
{
        int seals = fcntl(descriptor, F_GET_SEALS);
        struct stat status;
        void *bytes;

        if (seals < 0)
                return -errno;
        if ((seals & SEALS) != SEALS)
                return -EPERM;
        if (fstat(descriptor, &status) < 0)
                return -errno;
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (bytes == MAP_FAILED)
                return -errno;
        *ret_bytes = bytes;
        *ret_length = (size_t)status.st_size;
        return 0;
}

void sealed_memory_unmap(const void *bytes, size_t length)
{
        munmap((void *)(uintptr_t)bytes, length);
}
