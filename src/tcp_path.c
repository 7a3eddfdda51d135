#include "tcp_path.h"

#include <linux/tcp.h> /* libc's struct tcp_info is older */
#include <netinet/in.h>
#include <sys/socket.h>

bool tcp_path_look(int descriptor, struct tcp_path *ret_path)
{
        struct tcp_info info = {0};

        if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)}) < 0)
                return false;
        *ret_path = (struct tcp_path){
                .rtt_us = info.tcpi_rtt,
                .rttvar_us = info.tcpi_rttvar,
                .n_retransmits = info.tcpi_total_retrans,
                .mss = info.tcpi_snd_mss,
                .busy_us = info.tcpi_busy_time,
                .rwnd_limited_us = info.tcpi_rwnd_limited,
                .sndbuf_limited_us = info.tcpi_sndbuf_limited,
        };
        return true;
}
