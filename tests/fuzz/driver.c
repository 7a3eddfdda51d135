/*
 * Feeds a fuzzing program where there is no libFuzzer: every file of a corpus, each cut at many
 * places, and so many mutations of them, always the same ones. What crashes is left in a file.
 *
 *     fuzz-NAME N_MUTATIONS FILE...
 */

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "util.h"

#define INPUT_MAX    16384
#define CUTS_MAX     1000 /* of one file */
#define MUTATION_MAX 6    /* changes to one input */

struct input {
        uint8_t bytes[INPUT_MAX];
        size_t length;
};

static struct input *corpus, current;
static size_t n_corpus;

/* xorshift64*, from a seed of its own, so that a failure comes again. */
static uint64_t randomly(uint64_t below)
{
        static uint64_t state = 0x9e3779b97f4a7c15;

        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545f4914f6cdd1d % below;
}

static void read_file(struct input *input, const char *path)
{
        FILE *file = fopen(path, "rb");

        EXPECT(file);
        input->length = fread(input->bytes, 1, sizeof(input->bytes), file);
        EXPECT(feof(file) && !ferror(file));
        fclose(file);
}

/* Not all of this is allowed in a signal handler, but all is lost anyway. */
static void on_crash(int number)
{
        static const char name[] = "crash-input";
        FILE *file = fopen(name, "wb");

        if (file) {
                fwrite(current.bytes, 1, current.length, file);
                fclose(file);
                fprintf(stderr, "the input is in the file %s\n", name);
        }
        signal(number, SIG_DFL);
        raise(number);
}

static void run(void)
{
        LLVMFuzzerTestOneInput(current.bytes, current.length);
}

/* Takes `n` bytes at an offset out, and makes room for `n_new` there, as far as there is. */
static uint8_t *replace(size_t offset, size_t n, size_t n_new)
{
        size_t behind = current.length - offset - n;

        if (offset + n_new + behind > INPUT_MAX)
                n_new = n;
        memmove(current.bytes + offset + n_new, current.bytes + offset + n, behind);
        current.length = offset + n_new + behind;
        return current.bytes + offset;
}

static void change(void)
{
        const struct input *other = &corpus[randomly(n_corpus)];
        size_t offset = randomly(current.length + 1), left = current.length - offset;
        size_t n = left > 0 ? randomly(MIN(left, 32)) : 0, n_other, from;

        switch (randomly(6)) {
        case 0:
                if (left > 0)
                        current.bytes[offset] ^= (uint8_t)(1 << randomly(8));
                break;
        case 1:
                if (left > 0)
                        current.bytes[offset] = (uint8_t)randomly(256);
                break;
        case 2:
                replace(offset, n, 0);
                break;
        case 3: /* repeated */
                if (current.length + n <= INPUT_MAX && n > 0)
                        memmove(replace(offset, 0, n), current.bytes + offset + n, n);
                break;
        case 4: /* part of another one */
                from = other->length > 0 ? randomly(other->length) : 0;
                n_other = MIN(other->length - from, randomly(64));
                if (current.length + n_other <= INPUT_MAX)
                        memcpy(replace(offset, n, n_other), other->bytes + from,
                               MIN(n_other, current.length - offset));
                break;
        default:
                current.length = offset;
                break;
        }
}

static void mutate(void)
{
        current = corpus[randomly(n_corpus)];
        for (uint64_t n = 1 + randomly(MUTATION_MAX); n > 0; n--)
                change();
        run();
}

int main(int argc, char **argv)
{
        unsigned long n_mutations = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;

        EXPECT(argc > 2);
        signal(SIGABRT, on_crash);
        signal(SIGSEGV, on_crash);
        n_corpus = (size_t)argc - 2;
        corpus = calloc(n_corpus, sizeof(*corpus));
        EXPECT(corpus);
        for (size_t i = 0; i < n_corpus; i++) {
                read_file(&corpus[i], argv[i + 2]);
                current = corpus[i];
                run();
                for (size_t n = 0; n < CUTS_MAX && n < corpus[i].length; n++) {
                        current = corpus[i];
                        current.length = n;
                        run();
                }
        }
        for (unsigned long i = 0; i < n_mutations; i++)
                mutate();
        free(corpus);
        return 0;
}
