#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "handover_state.h"
#include "proxy_header.h"

#define NOW_MS 100000

/* What fails, of the calls that the linker sends through here; 0: nothing. */
static unsigned failing_call, n_calls;

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
        return ++n_calls == failing_call ? NULL : __real_realloc(memory, size);
}

static const struct address V4 = {.family = AF_INET, .port = 51000, .ip = {192, 0, 2, 1}};
static const struct address V6 = {
        .family = AF_INET6, .port = 7, .scope_id = 3, .ip = {0xfe, 0x80, [15] = 1}};

static struct handover_record connection_in(enum echo_state state, const char *pending)
{
        return (struct handover_record){.kind = HANDOVER_CONNECTION,
                                        .connection = {
                                                .cookie = 0x123456789abcdef0,
                                                .peer = V4,
                                                .listener = "[::]:7",
                                                .echo = {.received = 1ULL << 40,
                                                         .pending = (uint32_t)strlen(pending),
                                                         .state = (uint8_t)state,
                                                         .reason = ECHO_MAX_LIFETIME},
                                                .opened_ms = 1000,
                                                .active_ms = 99000,
                                                .n_unsent = 4096,
                                                .n_unsent_pending = INT32_MAX,
                                                .pending = pending,
                                        }};
}

static struct handover_record newcomer_with(const char *bytes)
{
        return (struct handover_record){
                .kind = HANDOVER_NEWCOMER,
                .newcomer = {.cookie = 8,
                             .peer = V6,
                             .listener = "/run/echod.sock",
                             .accepted_ms = 98765,
                             .bytes = bytes,
                             .n_bytes = (uint32_t)strlen(bytes)},
        };
}

static void write_one(struct handover_writer *writer, struct handover_record record)
{
        handover_state_begin(writer, NOW_MS);
        handover_state_add(writer, &record);
        cr_assert_eq(handover_state_end(writer), 0);
}

/* One of each. */
static int write_all(struct handover_writer *writer)
{
        const struct handover_record records[] = {
                connection_in(ECHO_OPEN, ""),      connection_in(ECHO_PAUSED, "some bytes"),
                connection_in(ECHO_FLUSHING, "x"), connection_in(ECHO_LINGERING, ""),
                newcomer_with("PROXY TCP4 192"),
        };

        handover_state_begin(writer, NOW_MS);
        for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
                handover_state_add(writer, &records[i]);
        return handover_state_end(writer);
}

static enum handover_verdict verdict_on(const struct handover_writer *writer)
{
        struct handover_reader reader;

        return handover_state_open(&reader, writer->bytes, writer->length);
}

static void expect_connection(struct handover_reader *reader, enum echo_state state,
                              const char *pending)
{
        const struct handover_record expected = connection_in(state, pending);
        const struct handover_connection *wanted = &expected.connection;
        struct handover_record record;

        handover_state_next(reader, &record);
        cr_assert_eq(record.kind, HANDOVER_CONNECTION);
        cr_assert_eq(record.connection.cookie, wanted->cookie);
        cr_assert_arr_eq(&record.connection.peer, &wanted->peer, sizeof(wanted->peer));
        cr_assert_str_eq(record.connection.listener, wanted->listener);
        cr_assert_eq(record.connection.echo.state, state);
        cr_assert_eq(record.connection.echo.reason, wanted->echo.reason);
        cr_assert_eq(record.connection.echo.received, wanted->echo.received);
        cr_assert_eq(record.connection.echo.pending, strlen(pending));
        cr_assert_eq(record.connection.opened_ms, wanted->opened_ms);
        cr_assert_eq(record.connection.active_ms, wanted->active_ms);
        cr_assert_eq(record.connection.n_unsent, wanted->n_unsent);
        cr_assert_eq(record.connection.n_unsent_pending, wanted->n_unsent_pending);
        cr_assert_eq(memcmp(record.connection.pending, pending, strlen(pending)), 0);
}

Test(handover_state, what_was_written_is_read)
{
        struct handover_writer writer;
        struct handover_reader reader;
        struct handover_record record;

        cr_assert_eq(write_all(&writer), 0);
        cr_assert_eq(handover_state_open(&reader, writer.bytes, writer.length), HANDOVER_GOOD);
        expect_connection(&reader, ECHO_OPEN, "");
        expect_connection(&reader, ECHO_PAUSED, "some bytes");
        expect_connection(&reader, ECHO_FLUSHING, "x");
        expect_connection(&reader, ECHO_LINGERING, "");
        handover_state_next(&reader, &record);
        cr_assert_eq(record.kind, HANDOVER_NEWCOMER);
        cr_assert_eq(record.newcomer.cookie, 8);
        cr_assert_arr_eq(&record.newcomer.peer, &V6, sizeof(V6));
        cr_assert_str_eq(record.newcomer.listener, "/run/echod.sock");
        cr_assert_eq(record.newcomer.accepted_ms, 98765);
        cr_assert_eq(record.newcomer.n_bytes, 14);
        cr_assert_eq(memcmp(record.newcomer.bytes, "PROXY TCP4 192", 14), 0);
        handover_state_next(&reader, &record);
        cr_assert_eq(record.kind, HANDOVER_END);
        handover_state_next(&reader, &record);
        cr_assert_eq(record.kind, HANDOVER_END);
        handover_state_free(&writer);
}

Test(handover_state, nobody_at_all_is_a_state_too)
{
        struct handover_writer writer;
        struct handover_reader reader;
        struct handover_record record;

        handover_state_begin(&writer, NOW_MS);
        cr_assert_eq(handover_state_end(&writer), 0);
        cr_assert_eq(handover_state_open(&reader, writer.bytes, writer.length), HANDOVER_GOOD);
        handover_state_next(&reader, &record);
        cr_assert_eq(record.kind, HANDOVER_END);
        handover_state_free(&writer);
}

Test(handover_state, a_time_after_the_writing_is_the_writing)
{
        struct handover_record record = connection_in(ECHO_OPEN, "");
        struct handover_writer writer;
        struct handover_reader reader;

        record.connection.active_ms = NOW_MS + 5;
        write_one(&writer, record);
        cr_assert_eq(handover_state_open(&reader, writer.bytes, writer.length), HANDOVER_GOOD);
        handover_state_next(&reader, &record);
        cr_assert_eq(record.connection.active_ms, NOW_MS);
        handover_state_free(&writer);
}

Test(handover_state, a_state_cut_at_any_byte_is_not_good)
{
        struct handover_writer writer;
        struct handover_reader reader;

        write_all(&writer);
        for (size_t length = 0; length < writer.length; length++) {
                /* A copy of just that length, so that a sanitizer sees who reads on. */
                uint8_t *part = malloc(length);

                memcpy(part, writer.bytes, length);
                cr_assert_eq(handover_state_open(&reader, part, length),
                             length < 8 ? HANDOVER_FOREIGN : HANDOVER_CUT, "%zu bytes", length);
                free(part);
        }
        handover_state_free(&writer);
}

Test(handover_state, a_state_with_bytes_behind_it_is_not_good)
{
        struct handover_writer writer;
        struct handover_reader reader;
        uint8_t longer[4096] = {0};

        write_all(&writer);
        memcpy(longer, writer.bytes, writer.length);
        cr_assert_eq(handover_state_open(&reader, longer, writer.length + 1), HANDOVER_CUT);
        handover_state_free(&writer);
}

Test(handover_state, any_flipped_bit_is_found)
{
        struct handover_writer writer;

        write_all(&writer);
        for (size_t bit = 0; bit < writer.length * 8; bit++) {
                writer.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
                cr_assert_neq(verdict_on(&writer), HANDOVER_GOOD, "bit %zu", bit);
                writer.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
        cr_assert_eq(verdict_on(&writer), HANDOVER_GOOD);
        handover_state_free(&writer);
}

/* The checksum that belongs to the bytes as they are, FNV-1a. */
static void seal(struct handover_writer *writer)
{
        size_t length = writer->length - 8;
        uint64_t sum = 0xcbf29ce484222325;

        for (size_t i = 0; i < length; i++)
                sum = (sum ^ writer->bytes[i]) * 0x100000001b3;
        for (unsigned i = 0; i < 8; i++)
                writer->bytes[length + i] = (uint8_t)(sum >> 8 * i);
}

Test(handover_state, another_version_is_said_to_be_one)
{
        struct handover_writer writer;

        write_all(&writer);
        writer.bytes[8]++;
        seal(&writer);
        cr_assert_eq(verdict_on(&writer), HANDOVER_UNKNOWN);
        handover_state_free(&writer);
}

Test(handover_state, something_else_is_said_to_be_foreign)
{
        struct handover_reader reader;
        char zeros[4096] = {0};

        cr_assert_eq(handover_state_open(&reader, zeros, sizeof(zeros)), HANDOVER_FOREIGN);
        cr_assert_eq(handover_state_open(&reader, "", 0), HANDOVER_FOREIGN);
}

/* Whatever stands in a byte, with a checksum that fits: nothing is read that is not there. */
Test(handover_state, no_byte_makes_it_read_beyond_the_end)
{
        struct handover_writer writer;
        uint8_t *copy;

        write_all(&writer);
        copy = malloc(writer.length);
        for (size_t i = 0; i < writer.length - 8; i++) {
                static const uint8_t values[] = {0, 1, 2, 3, 4, 0x7f, 0x80, 0xff};
                uint8_t before = writer.bytes[i];

                for (size_t j = 0; j < sizeof(values); j++) {
                        struct handover_reader reader;
                        struct handover_record record = {.kind = HANDOVER_NEWCOMER};

                        writer.bytes[i] = values[j];
                        seal(&writer);
                        memcpy(copy, writer.bytes, writer.length);
                        if (handover_state_open(&reader, copy, writer.length) != HANDOVER_GOOD)
                                continue;
                        while (record.kind != HANDOVER_END)
                                handover_state_next(&reader, &record);
                        cr_assert(!reader.is_absurd);
                }
                writer.bytes[i] = before;
        }
        free(copy);
        handover_state_free(&writer);
}

/* Random bytes behind a good header. */
Test(handover_state, noise_is_not_good)
{
        struct handover_writer writer;
        unsigned seed = 1, n_good = 0;

        write_all(&writer);
        for (unsigned round = 0; round < 20000; round++) {
                for (size_t i = 32; i < writer.length - 8; i++) {
                        seed = seed * 1103515245 + 12345;
                        writer.bytes[i] = (uint8_t)(seed >> 16);
                }
                seal(&writer);
                n_good += verdict_on(&writer) == HANDOVER_GOOD;
        }
        cr_assert_eq(n_good, 0);
        handover_state_free(&writer);
}

static void expect_absurd(struct handover_record record)
{
        struct handover_writer writer;

        write_one(&writer, record);
        cr_assert_eq(verdict_on(&writer), HANDOVER_ABSURD);
        handover_state_free(&writer);
}

Test(handover_state, values_that_cannot_be_are_absurd)
{
        static const char long_header[PROXY_HEADER_MAX];
        struct handover_record record = connection_in(ECHO_CLOSING, "");

        expect_absurd(record);
        expect_absurd(connection_in(ECHO_OPEN, "pending"));
        expect_absurd(connection_in(ECHO_LINGERING, "pending"));
        expect_absurd(connection_in(ECHO_PAUSED, ""));
        expect_absurd(connection_in(ECHO_FLUSHING, ""));
        record = connection_in(ECHO_OPEN, "");
        record.connection.peer.family = AF_NETLINK;
        expect_absurd(record);
        record = connection_in(ECHO_OPEN, "");
        record.connection.echo.reason = N_ECHO_REASONS;
        expect_absurd(record);
        record = connection_in(ECHO_OPEN, "");
        record.connection.n_unsent = -1;
        expect_absurd(record);
        record = connection_in(ECHO_PAUSED, "ten bytes.");
        record.connection.echo.received = 9;
        expect_absurd(record);
        record = newcomer_with("");
        record.newcomer.bytes = long_header;
        record.newcomer.n_bytes = sizeof(long_header);
        expect_absurd(record);
        record = newcomer_with("");
        record.kind = (enum handover_kind)9;
        expect_absurd(record);
}

Test(handover_state, each_shortage_of_memory_is_an_error_and_leaks_nothing)
{
        static char bytes[100000];
        struct handover_record records[2];
        unsigned n_failed = 0;
        int r;

        memset(bytes, 'x', sizeof(bytes) - 1);
        records[0] = connection_in(ECHO_OPEN, "");
        records[1] = newcomer_with(bytes);
        do {
                struct handover_writer writer;

                n_calls = 0;
                failing_call = n_failed + 1;
                handover_state_begin(&writer, NOW_MS);
                handover_state_add(&writer, &records[0]);
                handover_state_add(&writer, &records[1]);
                r = handover_state_end(&writer);
                cr_assert(r == 0 || r == -ENOMEM);
                n_failed += r < 0;
                handover_state_free(&writer);
        } while (r < 0);
        cr_assert_geq(n_failed, 2);
}
