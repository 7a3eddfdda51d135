/*
 * The happy path of each client:
 *  1. start_client() begins to connect; on_open() says when the connection is up.
 *  2. When its pause is over, act() sends the next text.
 *  3. on_bytes() compares; when all of the text is back, the next pause begins: back to 2.
 *  4. After the last text and one more pause the client closes: on_closed().
 *
 * What can go wrong:
 *  - it cannot connect, or the connection ends: on_end() says so, the others go on;
 *  - the answer does not come in time, if there is one: give_up() says so and closes;
 *  - other bytes come back: said once for each text;
 *  - a line cannot be written: as an interrupt, which ends it; what is under way is not lost.
 */

#include "transcript.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alarm.h"
#include "exit_status.h"
#include "interrupt.h"
#include "link.h"
#include "log.h"
#include "open_files.h"
#include "util.h"

/* By how much each client is further to the right. */
#define INDENTATION 8

struct transcript;

struct client {
        struct transcript *transcript;
        struct link link;
        uint64_t due_ns; /* when its pause is over, or its time to connect or to answer; 0: never */
        unsigned index;
        size_t n_texts_sent;
        uint64_t n_received; /* bytes of all the texts, one after the other */
        bool is_wrong;       /* the current text; has been said */
        bool is_open;
        bool is_waiting; /* for an answer */
};

struct transcript {
        const struct arguments *arguments;
        uv_loop_t loop;
        struct interrupt interrupt;
        struct alarm alarm; /* of all, so that each takes a single descriptor */
        uint64_t due_ns;    /* what it is set to, 0: nothing; not after the first of theirs */
        struct link_context context;
        struct client *clients;
        size_t n_clients; /* those not yet closed */
        uint64_t started_ns;
        char *stream; /* the texts, one after the other */
        size_t *ends; /* where each of them ends in it */
        size_t n_opened, n_bad;
};

static void on_open(struct link *link);
static void on_due(void *user);
static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length);
static void on_bytes(struct link *link, const uint8_t *bytes, size_t length);
static void on_end(struct link *link, int reason);
static void on_closed(struct link *link);
static void on_interrupt(void *user);

static const struct link_events LINK_EVENTS = {on_open, on_fill, on_bytes, on_end, on_closed};

/* "[0.501204]         Client 1 " and what happens to it. */
static void begin_line(const struct client *client)
{
        uint64_t now_ns = uv_hrtime() - client->transcript->started_ns;
        int column = (int)client->index * INDENTATION;

        printf("[%.6f] %*sClient %u ", ns_to_seconds(now_ns), column, "", client->index);
}

static void end_line(struct client *client)
{
        putchar('\n');
        interrupt_if_mute(&client->transcript->interrupt);
}

static void say(struct client *client, const char *format, ...) FORMAT_PRINTF(2, 3);

static void say(struct client *client, const char *format, ...)
{
        va_list rest;

        begin_line(client);
        va_start(rest, format);
        vprintf(format, rest);
        va_end(rest);
        end_line(client);
}

/* Control characters would destroy the columns. */
static void say_text(struct client *client, const char *verb, const char *text)
{
        begin_line(client);
        printf("%s \"", verb);
        for (; *text != '\0'; text++)
                if (*text == '\n')
                        fputs("\\n", stdout);
                else if ((unsigned char)*text < ' ' || *text == '\x7f')
                        printf("\\x%02x", (unsigned char)*text);
                else
                        putchar(*text);
        fputs("\".", stdout);
        end_line(client);
}

static size_t start_of_text(const struct transcript *transcript, size_t n)
{
        return n == 0 ? 0 : transcript->ends[n - 1];
}

static void set_due(struct client *client, uint64_t due_ns)
{
        struct transcript *transcript = client->transcript;

        client->due_ns = due_ns;
        if (transcript->due_ns > 0 && transcript->due_ns <= due_ns)
                return;
        transcript->due_ns = due_ns;
        alarm_set(&transcript->alarm, due_ns);
}

static void begin_pause(struct client *client)
{
        set_due(client, uv_hrtime() + seconds_to_ns(client->transcript->arguments->interval_s));
}

/* To connect, or to answer: if there is a time for it. */
static void set_timeout(struct client *client)
{
        double timeout_s = client->transcript->arguments->timeout_s;

        client->due_ns = 0;
        if (timeout_s > 0)
                set_due(client, uv_hrtime() + seconds_to_ns(timeout_s));
}

/* Whether or not the alarm has come first. */
static bool is_late(const struct client *client)
{
        return client->due_ns > 0 && uv_hrtime() > client->due_ns;
}

static void close_client(struct client *client)
{
        client->due_ns = 0;
        link_close(&client->link);
}

static void give_up(struct client *client)
{
        if (client->is_open) {
                client->transcript->n_bad++;
                say(client, "receives no answer within %g s.",
                    client->transcript->arguments->timeout_s);
        } else {
                on_end(&client->link, -ETIMEDOUT);
        }
        close_client(client);
}

static void on_open(struct link *link)
{
        struct client *client = CONTAINER_OF(link, struct client, link);

        client->is_open = true;
        client->transcript->n_opened++;
        say(client, "connects.");
        begin_pause(client);
}

/* The pause is over. */
static void act(struct client *client)
{
        const struct transcript *transcript = client->transcript;
        size_t n = client->n_texts_sent;

        if (n == transcript->arguments->n_texts) {
                say(client, "disconnects.");
                close_client(client);
                return;
        }
        client->n_texts_sent++;
        client->is_wrong = false;
        client->is_waiting = true;
        set_timeout(client);
        say_text(client, "sends", transcript->arguments->texts[n]);
        link_send(&client->link, transcript->ends[n] - start_of_text(transcript, n));
}

static void on_due(void *user)
{
        struct transcript *transcript = user;
        uint64_t now_ns = uv_hrtime();

        transcript->due_ns = 0;
        for (size_t i = 0; i < transcript->arguments->n_clients; i++) {
                struct client *client = &transcript->clients[i];
                uint64_t due_ns = client->due_ns;

                client->due_ns = 0;
                if (due_ns > now_ns)
                        set_due(client, due_ns);
                else if (due_ns > 0 && (client->is_waiting || !client->is_open))
                        give_up(client);
                else if (due_ns > 0)
                        act(client);
        }
}

static void on_fill(struct link *link, uint64_t offset, uint8_t *bytes, size_t length)
{
        const struct client *client = CONTAINER_OF(link, struct client, link);

        memcpy(bytes, client->transcript->stream + offset, length);
}

static void say_wrong(struct client *client, const char *what, uint64_t offset)
{
        client->transcript->n_bad += !client->is_wrong;
        if (!client->is_wrong)
                say(client, "receives %s at offset %zu of its text.", what, (size_t)offset);
        client->is_wrong = true;
}

/* Bytes for which a text is waiting; the rest of them. */
static void compare(struct client *client, const uint8_t *bytes, size_t length)
{
        const struct transcript *transcript = client->transcript;
        const char *expected = transcript->stream + client->n_received;
        size_t n = client->n_texts_sent - 1, equal = 0;

        while (equal < length && expected[equal] == (char)bytes[equal])
                equal++;
        if (equal < length)
                say_wrong(client, "a wrong byte",
                          client->n_received + equal - start_of_text(transcript, n));
        client->n_received += length;
        if (client->n_received < transcript->ends[n])
                return;
        if (is_late(client)) {
                give_up(client);
                return;
        }
        if (!client->is_wrong)
                say_text(client, "receives", transcript->arguments->texts[n]);
        client->is_waiting = false;
        begin_pause(client);
}

static void on_bytes(struct link *link, const uint8_t *bytes, size_t length)
{
        struct client *client = CONTAINER_OF(link, struct client, link);
        const struct transcript *transcript = client->transcript;
        size_t expected = start_of_text(transcript, client->n_texts_sent), n;

        n = MIN(length, expected - client->n_received);
        if (n > 0)
                compare(client, bytes, n);
        if (n < length)
                say_wrong(client, "bytes too many",
                          expected - start_of_text(transcript, MAX(client->n_texts_sent, 1) - 1));
}

static void on_end(struct link *link, int reason)
{
        struct client *client = CONTAINER_OF(link, struct client, link);

        client->due_ns = 0;
        client->transcript->n_bad++;
        if (!client->is_open)
                say(client, "cannot connect: %s.", uv_strerror(reason));
        else if (reason == 0)
                say(client, "is disconnected by the server.");
        else
                say(client, "loses its connection: %s.", uv_strerror(reason));
}

static void on_closed(struct link *link)
{
        struct client *client = CONTAINER_OF(link, struct client, link);
        struct transcript *transcript = client->transcript;

        client->due_ns = 0;
        if (--transcript->n_clients > 0)
                return;
        alarm_close(&transcript->alarm);
        interrupt_close(&transcript->interrupt);
}

static void on_interrupt(void *user)
{
        const struct transcript *transcript = user;

        for (size_t i = 0; i < transcript->arguments->n_clients; i++)
                close_client(&transcript->clients[i]);
}

static void start_client(struct transcript *transcript, unsigned index)
{
        struct client *client = &transcript->clients[index];
        int r;

        client->transcript = transcript;
        client->index = index;
        set_timeout(client);
        r = link_open(&client->link, &transcript->context, &LINK_EVENTS);
        if (r < 0) {
                on_end(&client->link, r);
                on_closed(&client->link);
        }
}

/* On failure the process ends: nothing needs to be undone. */
static int start(struct transcript *transcript)
{
        int r = interrupt_start(&transcript->interrupt, &transcript->loop, on_interrupt,
                                transcript);

        if (r == 0)
                r = alarm_init(&transcript->alarm, &transcript->loop, on_due, transcript);
        if (r < 0)
                return r;
        transcript->n_clients = transcript->arguments->n_clients;
        transcript->started_ns = uv_hrtime();
        for (unsigned i = 0; i < transcript->arguments->n_clients; i++)
                start_client(transcript, i);
        return 0;
}

/* Puts the texts one after the other. */
static int join_texts(struct transcript *transcript)
{
        const struct arguments *arguments = transcript->arguments;
        size_t length = 0;

        for (size_t i = 0; i < arguments->n_texts; i++)
                length += strlen(arguments->texts[i]);
        transcript->stream = malloc(length + 1);
        transcript->ends = calloc(arguments->n_texts, sizeof(*transcript->ends));
        transcript->clients = calloc(arguments->n_clients, sizeof(*transcript->clients));
        if (!transcript->stream || !transcript->ends || !transcript->clients)
                return -ENOMEM;
        length = 0;
        for (size_t i = 0; i < arguments->n_texts; i++) {
                strcpy(transcript->stream + length, arguments->texts[i]);
                length += strlen(arguments->texts[i]);
                transcript->ends[i] = length;
        }
        return 0;
}

static int run(struct transcript *transcript, const struct target *target)
{
        int r = uv_loop_init(&transcript->loop);

        if (r == 0)
                r = link_context_init(&transcript->context, &transcript->loop, target, 0);
        if (r == 0)
                r = join_texts(transcript);
        if (r == 0)
                r = start(transcript);
        if (r < 0) {
                log_error("echoc: %s: %s", target->name, uv_strerror(r));
                return STATUS_USAGE;
        }
        uv_run(&transcript->loop, UV_RUN_DEFAULT);
        uv_loop_close(&transcript->loop);
        if (transcript->n_opened == 0)
                return STATUS_USAGE;
        return transcript->n_bad > 0 ? STATUS_BAD : STATUS_GOOD;
}

int transcript_run(const struct arguments *arguments, const struct target *target)
{
        struct transcript transcript = {.arguments = arguments};
        int status;

        if (open_files_check(arguments->n_clients, 1) < 0)
                return STATUS_USAGE;
        status = run(&transcript, target);
        link_context_free(&transcript.context);
        free(transcript.clients);
        free(transcript.ends);
        free(transcript.stream);
        return status;
}
