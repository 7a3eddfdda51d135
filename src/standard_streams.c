#include "standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

void standard_streams_open(void)
{
        int descriptor;

        do
                descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (descriptor >= 0 && descriptor <= STDERR_FILENO);
        if (descriptor >= 0)
                close(descriptor);
}
