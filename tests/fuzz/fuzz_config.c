/* Whatever the text is: it is refused with a problem named, or what is printed of it loads again
 * and prints the same. */

#include <string.h>

#include "config.h"
#include "fuzz.h"

/* libconfig 1.5 loses a string that a syntax error follows. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
        return "leak:libconfig";
}

static void ignore(void *user, const char *line)
{
        (void)user;
        EXPECT(strstr(line, ": "));
}

static int load(struct config *ret_config, const char *text, unsigned *ret_n_problems)
{
        const struct config_origin origin = {
                .path = "/dev/null",
                .overrides = (const char *[]){text},
                .n_overrides = 1,
        };
        struct config_problems problems = {.report = ignore};
        int r = config_load(ret_config, &origin, &problems);

        *ret_n_problems = problems.n_problems;
        return r;
}

/* The caller frees it. */
static char *printed(const struct config *config)
{
        char *text;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        EXPECT(stream);
        config_print(config, stream);
        fclose(stream);
        return text;
}

static void check_loaded(struct config *config)
{
        char *text = printed(config), *text_again;
        struct config again;
        unsigned n_problems;

        EXPECT(load(&again, text, &n_problems) >= 0 && n_problems == 0);
        text_again = printed(&again);
        EXPECT(strcmp(text, text_again) == 0);
        free(text);
        free(text_again);
        config_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
        char *text = strndup((const char *)bytes, length);
        struct config config;
        unsigned n_problems;

        EXPECT(text);
        /* Files that happen to be there are none of the input. */
        if (!strstr(text, "include")) {
                int r = load(&config, text, &n_problems);

                EXPECT((r < 0) == (n_problems > 0));
                if (r >= 0)
                        check_loaded(&config);
                config_free(&config);
        }
        free(text);
        return 0;
}
