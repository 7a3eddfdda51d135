#include "parcel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

/* The kernel takes 253 in one message (SCM_MAX_FD). */
#define EACH_MESSAGE ((size_t)250)

/* One message. */
struct letter {
        struct msghdr header;
        struct iovec content;
        char byte; /* an empty one would be the end */
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(EACH_MESSAGE * sizeof(int))];
};

static void letter_init(struct letter *letter)
{
        *letter = (struct letter){0};
        letter->content = (struct iovec){&letter->byte, sizeof(letter->byte)};
        letter->header = (struct msghdr){
                .msg_iov = &letter->content,
                .msg_iovlen = 1,
                .msg_control = letter->control,
                .msg_controllen = sizeof(letter->control),
        };
}

/* -EAGAIN: the parcel is full. */
static int send_letter(int sender, const int descriptors[], size_t n)
{
        struct letter letter;
        struct cmsghdr *control;

        letter_init(&letter);
        letter.header.msg_controllen = CMSG_SPACE(n * sizeof(int));
        control = CMSG_FIRSTHDR(&letter.header);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(control), descriptors, n * sizeof(int));
        return sendmsg(sender, &letter.header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* One more parcel, with as many of the descriptors as it takes; says how many. */
static int pack_one(struct parcels *parcels, const int descriptors[], size_t n, size_t *ret_n)
{
        int *all = realloc(parcels->descriptors, (parcels->n_parcels + 1) * sizeof(*all));
        int ends[2], r = 0;

        *ret_n = 0;
        if (!all)
                return -ENOMEM;
        parcels->descriptors = all;
        /* Connections are never of this type. */
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        while (r == 0 && *ret_n < n) {
                size_t n_sent = MIN(n - *ret_n, EACH_MESSAGE);

                r = send_letter(ends[0], descriptors + *ret_n, n_sent);
                *ret_n += r == 0 ? n_sent : 0;
        }
        close(ends[0]);
        all[parcels->n_parcels++] = ends[1];
        return r == -EAGAIN && *ret_n > 0 ? 0 : r;
}

int parcels_pack(struct parcels *ret_parcels, const int descriptors[], size_t n)
{
        size_t n_packed = 0, n_more;
        int r = 0;

        *ret_parcels = PARCELS_NULL;
        while (r == 0 && n_packed < n) {
                r = pack_one(ret_parcels, descriptors + n_packed, n - n_packed, &n_more);
                n_packed += n_more;
        }
        if (r < 0)
                parcels_close(ret_parcels);
        return r;
}

void parcels_close(struct parcels *parcels)
{
        for (size_t i = 0; i < parcels->n_parcels; i++)
                close(parcels->descriptors[i]);
        free(parcels->descriptors);
        *parcels = PARCELS_NULL;
}

static bool is_parcel(int descriptor)
{
        int domain = 0, type = 0;
        socklen_t length = sizeof(int);

        return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
               getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
               domain == AF_UNIX && type == SOCK_SEQPACKET;
}

/* False: there are no more. */
static bool open_letter(int parcel, void (*on_descriptor)(void *user, int descriptor), void *user)
{
        struct letter letter;
        ssize_t n;

        letter_init(&letter);
        do
                n = recvmsg(parcel, &letter.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
                return false;
        for (struct cmsghdr *control = CMSG_FIRSTHDR(&letter.header); control;
             control = CMSG_NXTHDR(&letter.header, control)) {
                size_t n_descriptors = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                int descriptors[EACH_MESSAGE];

                if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
                        continue;
                memcpy(descriptors, CMSG_DATA(control), n_descriptors * sizeof(int));
                for (size_t i = 0; i < n_descriptors; i++)
                        on_descriptor(user, descriptors[i]);
        }
        return true;
}

bool parcel_unpack(int descriptor, void (*on_descriptor)(void *user, int descriptor), void *user)
{
        if (!is_parcel(descriptor))
                return false;
        while (open_letter(descriptor, on_descriptor, user))
                ;
        close(descriptor);
        return true;
}
