/* Whatever the bytes are: the header is the same wherever the stream is cut. */

#include <string.h>

#include "fuzz.h"
#include "proxy_header.h"

/* In memory of its own, so that a look behind the end is found by a sanitizer. */
static enum proxy_header_outcome parse(struct proxy_header *ret_header, const uint8_t *bytes,
                                       size_t length)
{
        uint8_t *copy = malloc(length > 0 ? length : 1);
        enum proxy_header_outcome outcome;

        EXPECT(copy);
        memcpy(copy, bytes, length);
        outcome = proxy_header_parse(ret_header, copy, length);
        free(copy);
        return outcome;
}

static void check_complete(const struct proxy_header *header, const uint8_t *bytes, size_t length)
{
        char text[ADDRESS_TEXT_MAX];
        struct proxy_header again;

        EXPECT(header->length > 0 && header->length <= length);
        EXPECT(header->length <= PROXY_HEADER_MAX);
        EXPECT(parse(&again, bytes, header->length) == PROXY_HEADER_COMPLETE);
        EXPECT(again.length == header->length && again.has_source == header->has_source);
        if (!header->has_source)
                return;
        EXPECT(memcmp(&again.source, &header->source, sizeof(again.source)) == 0);
        EXPECT(header->source.family == AF_INET || header->source.family == AF_INET6 ||
               header->source.family == AF_UNIX);
        address_format(&header->source, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
        struct proxy_header header, cut;
        enum proxy_header_outcome outcome = parse(&header, bytes, length);
        size_t n_begun = 0;

        if (outcome == PROXY_HEADER_COMPLETE)
                check_complete(&header, bytes, length);
        EXPECT(outcome != PROXY_HEADER_INCOMPLETE || length < PROXY_HEADER_MAX);
        /* It is incomplete up to a point, and from there on what it is in the end. */
        while (n_begun <= length && parse(&cut, bytes, n_begun) == PROXY_HEADER_INCOMPLETE)
                n_begun++;
        EXPECT((n_begun > length) == (outcome == PROXY_HEADER_INCOMPLETE));
        EXPECT(outcome != PROXY_HEADER_COMPLETE || n_begun == header.length);
        for (size_t n = n_begun; n <= length && n < n_begun + 32; n++)
                EXPECT(parse(&cut, bytes, n) == outcome);
        return 0;
}
