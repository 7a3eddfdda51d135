#include "handover_state.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy_header.h"
#include "util.h"

static const char MAGIC[8] = "echod-ho";

#define HEADER_LENGTH   32
#define CHECKSUM_LENGTH 8
#define LENGTH_AT       16 /* of the field `length` */
#define RECORDS_AT      12

/* FNV-1a: each step can be undone, so a change of one byte always changes the sum. */
static uint64_t checksum(const uint8_t *bytes, size_t length)
{
        uint64_t sum = 0xcbf29ce484222325;

        for (size_t i = 0; i < length; i++)
                sum = (sum ^ bytes[i]) * 0x100000001b3;
        return sum;
}

/* Room for so many more bytes, or NULL. */
static uint8_t *extend(struct handover_writer *writer, size_t length)
{
        size_t needed = writer->length + length, capacity = MAX(writer->capacity, (size_t)4096);
        uint8_t *bytes = writer->bytes;

        if (writer->has_failed)
                return NULL;
        while (capacity < needed)
                capacity *= 2;
        if (capacity > writer->capacity)
                bytes = realloc(bytes, capacity);
        if (!bytes) {
                writer->has_failed = true;
                return NULL;
        }
        writer->bytes = bytes;
        writer->capacity = capacity;
        writer->length = needed;
        return bytes + needed - length;
}

static void put(struct handover_writer *writer, const void *bytes, size_t length)
{
        uint8_t *room = extend(writer, length);

        if (room && length > 0)
                memcpy(room, bytes, length);
}

/* A number of so many bytes. */
static void put_number(struct handover_writer *writer, uint64_t number, size_t length)
{
        number = htole64(number);
        put(writer, &number, length);
}

static void put_text(struct handover_writer *writer, const char *text)
{
        put_number(writer, strlen(text), 1);
        put(writer, text, strlen(text) + 1);
}

static void put_address(struct handover_writer *writer, const struct address *address)
{
        put_number(writer, address->family, 2);
        put_number(writer, address->port, 2);
        put_number(writer, address->scope_id, 4);
        put(writer, address->ip, sizeof(address->ip));
}

/* A clock that was read a moment later is no reason for a huge age. */
static void put_time(struct handover_writer *writer, uint64_t time_ms)
{
        put_number(writer, writer->now_ms - MIN(time_ms, writer->now_ms), 8);
}

static void put_connection(struct handover_writer *writer,
                           const struct handover_connection *connection)
{
        put_number(writer, connection->cookie, 8);
        put_address(writer, &connection->peer);
        put_text(writer, connection->listener);
        put_number(writer, connection->echo.state, 1);
        put_number(writer, connection->echo.reason, 1);
        put_number(writer, connection->echo.received, 8);
        put_time(writer, connection->opened_ms);
        put_time(writer, connection->active_ms);
        put_number(writer, (uint32_t)connection->n_unsent, 4);
        put_number(writer, (uint32_t)connection->n_unsent_pending, 4);
        put_number(writer, connection->echo.pending, 4);
        put(writer, connection->pending, connection->echo.pending);
}

static void put_newcomer(struct handover_writer *writer, const struct handover_newcomer *newcomer)
{
        put_number(writer, newcomer->cookie, 8);
        put_address(writer, &newcomer->peer);
        put_text(writer, newcomer->listener);
        put_time(writer, newcomer->accepted_ms);
        put_number(writer, newcomer->n_bytes, 4);
        put(writer, newcomer->bytes, newcomer->n_bytes);
}

void handover_state_begin(struct handover_writer *writer, uint64_t now_ms)
{
        *writer = (struct handover_writer){.now_ms = now_ms};
        put(writer, MAGIC, sizeof(MAGIC));
        put_number(writer, HANDOVER_VERSION, 4);
        put_number(writer, 0, 4); /* handover_state_end() knows how many, */
        put_number(writer, 0, 8); /* and how long it has become */
        put_number(writer, now_ms, 8);
}

void handover_state_add(struct handover_writer *writer, const struct handover_record *record)
{
        put_number(writer, record->kind, 1);
        if (record->kind == HANDOVER_CONNECTION)
                put_connection(writer, &record->connection);
        else
                put_newcomer(writer, &record->newcomer);
        writer->n_records++;
}

int handover_state_end(struct handover_writer *writer)
{
        uint32_t n_records = htole32(writer->n_records);
        uint64_t length = htole64(writer->length + CHECKSUM_LENGTH);

        if (writer->has_failed)
                return -ENOMEM;
        memcpy(writer->bytes + RECORDS_AT, &n_records, sizeof(n_records));
        memcpy(writer->bytes + LENGTH_AT, &length, sizeof(length));
        put_number(writer, checksum(writer->bytes, writer->length), CHECKSUM_LENGTH);
        return writer->has_failed ? -ENOMEM : 0;
}

void handover_state_free(struct handover_writer *writer)
{
        free(writer->bytes);
        *writer = (struct handover_writer){0};
}

/* The next `length` bytes; NULL, and the reader remembers, if there are not so many. */
static const uint8_t *take(struct handover_reader *reader, size_t length)
{
        const uint8_t *bytes = reader->at;

        if (reader->is_absurd || (size_t)(reader->end - reader->at) < length) {
                reader->is_absurd = true;
                return NULL;
        }
        reader->at += length;
        return bytes;
}

static uint64_t take_number(struct handover_reader *reader, size_t length)
{
        const uint8_t *bytes = take(reader, length);
        uint64_t number = 0;

        if (bytes)
                memcpy(&number, bytes, length);
        return le64toh(number);
}

static void expect(struct handover_reader *reader, bool is_possible)
{
        reader->is_absurd = reader->is_absurd || !is_possible;
}

static const char *take_text(struct handover_reader *reader)
{
        size_t length = (size_t)take_number(reader, 1);
        const uint8_t *text = take(reader, length + 1);

        if (!text)
                return "";
        expect(reader, memchr(text, '\0', length + 1) == text + length);
        return reader->is_absurd ? "" : (const char *)text;
}

static void take_address(struct handover_reader *reader, struct address *ret_address)
{
        const uint8_t *ip;

        ret_address->family = (uint16_t)take_number(reader, 2);
        ret_address->port = (uint16_t)take_number(reader, 2);
        ret_address->scope_id = (uint32_t)take_number(reader, 4);
        ip = take(reader, sizeof(ret_address->ip));
        if (ip)
                memcpy(ret_address->ip, ip, sizeof(ret_address->ip));
        expect(reader, ret_address->family == AF_INET || ret_address->family == AF_INET6 ||
                               ret_address->family == AF_UNIX);
}

static uint64_t take_time(struct handover_reader *reader)
{
        uint64_t age_ms = take_number(reader, 8);

        expect(reader, age_ms <= reader->written_ms);
        return reader->written_ms - age_ms;
}

static int32_t take_count(struct handover_reader *reader)
{
        uint64_t count = take_number(reader, 4);

        expect(reader, count <= INT32_MAX);
        return (int32_t)count;
}

static void take_connection(struct handover_reader *reader, struct handover_connection *connection)
{
        struct echo *echo = &connection->echo;

        connection->cookie = take_number(reader, 8);
        take_address(reader, &connection->peer);
        connection->listener = take_text(reader);
        echo->state = (uint8_t)take_number(reader, 1);
        echo->reason = (uint8_t)take_number(reader, 1);
        echo->received = take_number(reader, 8);
        connection->opened_ms = take_time(reader);
        connection->active_ms = take_time(reader);
        connection->n_unsent = take_count(reader);
        connection->n_unsent_pending = take_count(reader);
        echo->pending = (uint32_t)take_number(reader, 4);
        connection->pending = (const char *)take(reader, echo->pending);
        expect(reader, echo->state < ECHO_CLOSING && echo->reason < N_ECHO_REASONS);
        expect(reader,
               (echo->pending > 0) == (echo->state == ECHO_PAUSED || echo->state == ECHO_FLUSHING));
        expect(reader, echo->pending <= echo->received);
}

static void take_newcomer(struct handover_reader *reader, struct handover_newcomer *newcomer)
{
        newcomer->cookie = take_number(reader, 8);
        take_address(reader, &newcomer->peer);
        newcomer->listener = take_text(reader);
        newcomer->accepted_ms = take_time(reader);
        newcomer->n_bytes = (uint32_t)take_number(reader, 4);
        newcomer->bytes = (const char *)take(reader, newcomer->n_bytes);
        expect(reader, newcomer->n_bytes < PROXY_HEADER_MAX);
}

void handover_state_next(struct handover_reader *reader, struct handover_record *ret_record)
{
        *ret_record = (struct handover_record){.kind = HANDOVER_END};
        if (reader->n_left == 0)
                return;
        reader->n_left--;
        ret_record->kind = (enum handover_kind)take_number(reader, 1);
        switch (ret_record->kind) {
        case HANDOVER_CONNECTION:
                take_connection(reader, &ret_record->connection);
                break;
        case HANDOVER_NEWCOMER:
                take_newcomer(reader, &ret_record->newcomer);
                break;
        case HANDOVER_END:
        default:
                reader->is_absurd = true;
                break;
        }
}

/* Reads every record once; none of them can fail after that. */
static bool is_plausible(struct handover_reader reader)
{
        struct handover_record record;

        while (reader.n_left > 0 && !reader.is_absurd)
                handover_state_next(&reader, &record);
        return !reader.is_absurd && reader.at == reader.end;
}

enum handover_verdict handover_state_open(struct handover_reader *reader, const void *bytes,
                                          size_t length)
{
        struct handover_reader header = {.at = bytes, .end = (const uint8_t *)bytes + length};
        struct handover_reader trailer = {0};
        const uint8_t *magic = take(&header, sizeof(MAGIC));
        uint32_t version = (uint32_t)take_number(&header, 4);

        if (!magic || memcmp(magic, MAGIC, sizeof(MAGIC)) != 0)
                return HANDOVER_FOREIGN;
        if (header.is_absurd)
                return HANDOVER_CUT;
        if (version != HANDOVER_VERSION)
                return HANDOVER_UNKNOWN;
        header.n_left = (uint32_t)take_number(&header, 4);
        if (take_number(&header, 8) != length || length < HEADER_LENGTH + CHECKSUM_LENGTH)
                return HANDOVER_CUT;
        header.written_ms = take_number(&header, 8);
        header.end -= CHECKSUM_LENGTH;
        trailer.at = header.end;
        trailer.end = header.end + CHECKSUM_LENGTH;
        if (take_number(&trailer, CHECKSUM_LENGTH) != checksum(bytes, length - CHECKSUM_LENGTH))
                return HANDOVER_DAMAGED;
        if (!is_plausible(header))
                return HANDOVER_ABSURD;
        *reader = header;
        return HANDOVER_GOOD;
}

const char *handover_verdict_text(enum handover_verdict verdict)
{
        static const char *const texts[N_HANDOVER_VERDICTS] = {
                [HANDOVER_GOOD] = "is good",
                [HANDOVER_FOREIGN] = "is not one of echod's",
                [HANDOVER_UNKNOWN] = "is of a version that this echod does not know",
                [HANDOVER_CUT] = "has not the length that it says",
                [HANDOVER_DAMAGED] = "is damaged: its checksum is wrong",
                [HANDOVER_ABSURD] = "has a record that makes no sense",
        };

        return texts[verdict];
}
