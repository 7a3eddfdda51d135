#include "page.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

#define ANSWER_MAX (1 << 17)

uint16_t page_port(struct daemon *daemon)
{
        size_t position = 0;
        const char *end;

        daemon_await_log_from(daemon, &position, "metrics on http://");
        daemon_await_log_from(daemon, &position, "/metrics");
        end = daemon->log + position;
        while (*end != ':')
                end--;
        return (uint16_t)atoi(end + 1);
}

const char *page_get(uint16_t port, const char *path)
{
        static char answers[8][ANSWER_MAX];
        static unsigned next;
        char *answer = answers[next++ % 8];
        int client = client_connect(port);
        size_t length = 0;
        char request[512];
        ssize_t n;

        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
        client_send(client, request, strlen(request));
        while ((n = recv(client, answer + length, ANSWER_MAX - 1 - length, 0)) > 0)
                length += (size_t)n;
        cr_assert_eq(n, 0, "no whole answer to %s", path);
        answer[length] = '\0';
        close(client);
        return answer;
}

unsigned page_status(uint16_t port, const char *path)
{
        const char *answer = page_get(port, path);
        unsigned status = 0;

        cr_assert_eq(sscanf(answer, "HTTP/1.1 %u ", &status), 1, "%s", answer);
        return status;
}

const char *page_metrics(struct daemon *daemon)
{
        const char *answer = page_get(page_port(daemon), "/metrics");
        const char *body = strstr(answer, "\r\n\r\n");

        cr_assert(body && strncmp(answer, "HTTP/1.1 200 ", 13) == 0, "%s", answer);
        return body + 4;
}

double page_value(const char *text, const char *sample)
{
        size_t length = strlen(sample);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, sample, length) == 0 && line[length] == ' ')
                        return strtod(line + length, NULL);
        }
        return NAN;
}

double page_now(struct daemon *daemon, const char *sample)
{
        const char *text = page_metrics(daemon);
        double value = page_value(text, sample);

        cr_assert_not(isnan(value), "no %s in:\n%s", sample, text);
        return value;
}

void page_await(struct daemon *daemon, const char *sample, double expected)
{
        uint64_t deadline = now_ms() + PATIENCE_MS;
        double value;

        while ((value = page_now(daemon, sample)) != expected) {
                cr_assert_lt(now_ms(), deadline, "%s is %g instead of %g", sample, value, expected);
                sleep_ms(10);
        }
}
