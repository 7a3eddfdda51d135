#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util.h"

static void on_readable(uv_poll_t *poll, int status, int events);

static sigset_t obeyed(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGUSR2);
        sigaddset(&set, SIGNAL_LEAVE);
        return set;
}

void signals_block(void)
{
        const sigset_t set = obeyed();

        pthread_sigmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
}

int signals_open(struct signals *signals, uv_loop_t *loop,
                 void (*on_signal)(void *user, int number, int value), void *user)
{
        const sigset_t set = obeyed();
        int r;

        *signals = (struct signals){.on_signal = on_signal, .user = user};
        signals->descriptor = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (signals->descriptor < 0)
                return -errno;
        r = uv_poll_init(loop, &signals->poll, signals->descriptor);
        if (r < 0) {
                close(signals->descriptor);
                return r;
        }
        r = uv_poll_start(&signals->poll, UV_READABLE, on_readable);
        if (r < 0)
                signals_close(signals);
        return r;
}

void signals_close(struct signals *signals)
{
        uv_close((uv_handle_t *)&signals->poll, NULL);
        close(signals->descriptor);
}

static void tell(struct signals *signals, const struct signalfd_siginfo *info)
{
        int value = info->ssi_code == SI_QUEUE ? info->ssi_int : -1;

        if (!uv_is_closing((uv_handle_t *)&signals->poll))
                signals->on_signal(signals->user, (int)info->ssi_signo, value);
}

/*
 * The kernel gives the lowest number first. But who is told to leave is told to stop right after
 * that, and must not stop instead.
 */
static void on_readable(uv_poll_t *poll, int status, int events)
{
        struct signals *signals = CONTAINER_OF(poll, struct signals, poll);
        struct signalfd_siginfo infos[16];
        ssize_t length = read(signals->descriptor, infos, sizeof(infos));
        size_t n = (size_t)MAX(length, 0) / sizeof(infos[0]);

        (void)status;
        (void)events;
        for (size_t i = 0; i < n; i++)
                if (infos[i].ssi_signo == (uint32_t)SIGNAL_LEAVE)
                        tell(signals, &infos[i]);
        for (size_t i = 0; i < n; i++)
                if (infos[i].ssi_signo != (uint32_t)SIGNAL_LEAVE)
                        tell(signals, &infos[i]);
}
