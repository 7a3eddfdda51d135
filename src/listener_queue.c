#include "listener_queue.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

bool listener_queue_look(int descriptor, struct listener_queue *ret_queue)
{
        uint32_t memory[SK_MEMINFO_VARS] = {0};
        struct tcp_info info = {0};

        if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)}) < 0 ||
            info.tcpi_state != TCP_LISTEN)
                return false;
        getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, memory, &(socklen_t){sizeof(memory)});
        *ret_queue = (struct listener_queue){
                .length = info.tcpi_unacked,
                .limit = info.tcpi_sacked,
                .n_drops = memory[SK_MEMINFO_DROPS],
        };
        return true;
}
