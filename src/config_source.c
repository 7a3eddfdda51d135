#include "config_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_scan.h"

#define TEXT_MAX  ((size_t)1 << 20)
#define DEPTH_MAX 10

/* One file being read. */
struct reader {
        struct config_source *source;
        struct config_scanner scanner; /* knows the file and the line */
        unsigned depth;
};

static int read_file(struct config_source *source, const char *path, unsigned depth,
                     struct config_problems *problems, const struct reader *includer);

static int append_text(struct config_source *source, const char *text, size_t length)
{
        if (source->length + length + 1 > source->capacity) {
                size_t capacity = MAX(source->capacity * 2, source->length + length + 1);
                char *grown = realloc(source->text, capacity);

                if (!grown)
                        return -ENOMEM;
                source->text = grown;
                source->capacity = capacity;
        }
        memcpy(source->text + source->length, text, length);
        source->length += length;
        source->text[source->length] = '\0';
        return 0;
}

/* Appends a line of the file; `text` is without its newline. */
static int append_line(const struct reader *reader, const char *text, size_t length)
{
        struct config_source *source = reader->source;
        int r;

        if (source->n_lines == source->lines_capacity) {
                size_t capacity = MAX(source->lines_capacity * 2, (size_t)64);
                struct config_source_line *grown =
                        realloc(source->lines, capacity * sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                source->lines = grown;
                source->lines_capacity = capacity;
        }
        source->lines[source->n_lines++] = (struct config_source_line){
                .file = reader->scanner.file,
                .number = reader->scanner.line,
                .offset = source->length,
        };
        r = append_text(source, text, length);
        return r < 0 ? r : append_text(source, "\n", 1);
}

/* `directory of file`/`path`, or just `path` if that is absolute or the file has no directory. */
static char *resolve(const char *file, const char *path)
{
        const char *slash = strrchr(file, '/');
        char *resolved;

        if (*path == '/' || !slash)
                return strdup(path);
        if (asprintf(&resolved, "%.*s/%s", (int)(slash - file), file, path) < 0)
                return NULL;
        return resolved;
}

/* Where the path of an @include begins, behind its quote; NULL if the line is something else. */
static const char *include_begin(const char *line)
{
        const char *p = line + strspn(line, " \t");

        if (strncmp(p, "@include", 8) != 0 || (p[8] != ' ' && p[8] != '\t'))
                return NULL;
        p += 8 + strspn(p + 8, " \t");
        return *p == '"' ? p + 1 : NULL;
}

/* Takes the path up to its closing quote, behind which *ret_rest is; -EINVAL: there is none. */
static int include_path(const char *p, const char *end, char **ret_path, const char **ret_rest)
{
        char *path = malloc((size_t)(end - p) + 1);
        size_t length = 0;

        if (!path)
                return -ENOMEM;
        while (p < end && *p != '"') {
                if (*p == '\\' && p + 1 < end)
                        p++;
                path[length++] = *p++;
        }
        if (p == end) {
                free(path);
                return -EINVAL;
        }
        path[length] = '\0';
        *ret_path = path;
        *ret_rest = p + 1;
        return 0;
}

/* Puts what an @include names in its place; *line is then what stands behind it. */
static int read_include(struct reader *reader, const char *path_begin, const char **line,
                        const char *end)
{
        CLEANUP_FREE char *path = NULL, *resolved = NULL;
        int r = include_path(path_begin, end, &path, line);

        if (r == -EINVAL)
                config_problem(reader->scanner.problems, reader->scanner.file, reader->scanner.line,
                               "@include: the path does not end on its line; add \"");
        if (r < 0)
                return r;
        resolved = resolve(reader->scanner.file, path);
        if (!resolved)
                return -ENOMEM;
        return read_file(reader->source, resolved, reader->depth + 1, reader->scanner.problems,
                         reader);
}

static int read_line(struct reader *reader, const char *line, const char *end)
{
        struct config_source *source = reader->source;
        const char *path = reader->scanner.state == SCAN_TEXT ? include_begin(line) : NULL;
        int r;

        /* A second one on the line would be libconfig's, once the first is gone. */
        for (; path; path = include_begin(line)) {
                r = read_include(reader, path, &line, end);
                if (r < 0)
                        return r;
        }
        r = append_line(reader, line, (size_t)(end - line));
        if (r == 0)
                config_scan_line(&reader->scanner, source->text + source->length - (end - line) - 1,
                                 source->text + source->length - 1);
        return r;
}

/* Takes a whole file's text; it ends with a NUL and has none before. */
static int read_text(struct reader *reader, const char *text)
{
        while (*text != '\0') {
                const char *end = strchrnul(text, '\n');
                int r;

                reader->scanner.line++;
                r = read_line(reader, text, end);
                if (r < 0)
                        return r;
                text = *end ? end + 1 : end;
        }
        if (reader->scanner.state == SCAN_TEXT)
                return 0;
        config_problem(reader->scanner.problems, reader->scanner.file, reader->scanner.opened_line,
                       reader->scanner.state == SCAN_STRING
                               ? "a string begins here and does not end; add \""
                               : "a comment begins here and does not end; add */");
        return -EINVAL;
}

/* The name in memory that lives as long as the source. */
static const char *keep_name(struct config_source *source, const char *name)
{
        char **files = realloc(source->files, (source->n_files + 1) * sizeof(*files));

        if (!files)
                return NULL;
        source->files = files;
        files[source->n_files] = strdup(name);
        return files[source->n_files] ? files[source->n_files++] : NULL;
}

/* Reads all of an open file. -EISDIR and the like; -EFBIG; -EILSEQ: it is not text. */
static int slurp(int descriptor, size_t room, char **ret_text)
{
        CLEANUP_FREE char *text = malloc(room + 2);
        struct stat status;
        size_t length = 0;
        ssize_t n;

        if (!text)
                return -ENOMEM;
        if (fstat(descriptor, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
                return S_ISDIR(status.st_mode) ? -EISDIR : -ENODEV;
        do {
                n = read(descriptor, text + length, room + 1 - length);
                if (n < 0)
                        return -errno;
                length += (size_t)n;
                if (memchr(text + length - n, '\0', (size_t)n))
                        return -EILSEQ;
        } while (n > 0 && length <= room);
        if (length > room)
                return -EFBIG;
        text[length] = '\0';
        *ret_text = text;
        text = NULL;
        return 0;
}

static const char *file_problem(int error)
{
        switch (error) {
        case -EISDIR:
                return "is a directory; give a file";
        case -ENODEV:
                return "is neither a file nor a device; give a file";
        case -EILSEQ:
                return "contains a NUL byte; give a text file";
        case -EFBIG:
                return "is too large; a configuration has at most 1 MiB with all it includes";
        case -EMLINK:
                return "is included more than 10 deep; does it include itself?";
        default:
                return strerror(-error);
        }
}

static int open_and_slurp(const char *path, size_t room, unsigned depth, char **ret_text)
{
        int descriptor, r;

        if (depth > DEPTH_MAX)
                return -EMLINK;
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (descriptor < 0)
                return -errno;
        r = slurp(descriptor, room, ret_text);
        close(descriptor);
        return r;
}

/* Reads a file into the source; `includer` is where its @include stands, or NULL. */
static int read_file(struct config_source *source, const char *path, unsigned depth,
                     struct config_problems *problems, const struct reader *includer)
{
        CLEANUP_FREE char *text = NULL;
        struct reader reader = {
                .source = source,
                .scanner = {.problems = problems},
                .depth = depth,
        };
        int r = open_and_slurp(path, TEXT_MAX - MIN(source->length, TEXT_MAX), depth, &text);

        if (r == -ENOMEM || (r == -ENOENT && !includer))
                return r;
        if (r < 0 && includer) {
                config_problem(problems, includer->scanner.file, includer->scanner.line,
                               "@include: \"%s\": %s", path, file_problem(r));
                /* What else is wrong is still to be found, but not once more for each turn. */
                return r == -EMLINK || r == -EFBIG ? -EINVAL : 0;
        }
        if (r < 0) {
                config_problem(problems, path, 0, "%s", file_problem(r));
                return -EINVAL;
        }
        if (includer)
                memcpy(reader.scanner.option, includer->scanner.option,
                       sizeof(reader.scanner.option));
        reader.scanner.file = keep_name(source, path);
        if (!reader.scanner.file)
                return -ENOMEM;
        return read_text(&reader, strncmp(text, "\xef\xbb\xbf", 3) == 0 ? text + 3 : text);
}

int config_source_read(struct config_source *source, const char *path,
                       struct config_problems *problems)
{
        int r = read_file(source, path, 0, problems, NULL);

        return r < 0 ? r : append_text(source, "", 0);
}

int config_source_take(struct config_source *source, const char *text, const char *file,
                       unsigned line, struct config_problems *problems)
{
        struct reader reader = {
                .source = source,
                .scanner = {.problems = problems, .line = line - 1},
        };
        int r;

        reader.scanner.file = keep_name(source, file);
        if (!reader.scanner.file)
                return -ENOMEM;
        r = read_text(&reader, text);
        return r < 0 ? r : append_text(source, "", 0);
}

const struct config_source_line *config_source_line(const struct config_source *source,
                                                    unsigned line)
{
        static const struct config_source_line nowhere = {.file = "configuration"};

        if (source->n_lines == 0)
                return &nowhere;
        return &source->lines[MIN(MAX(line, 1U), source->n_lines) - 1];
}

unsigned config_source_find_back(const struct config_source *source, unsigned line,
                                 const char *needle)
{
        for (size_t i = MIN(line, source->n_lines); i > 0; i--) {
                const char *text = source->text + source->lines[i - 1].offset;

                if (memmem(text, (size_t)(strchrnul(text, '\n') - text), needle, strlen(needle)))
                        return (unsigned)i;
        }
        return line;
}

void config_source_free(struct config_source *source)
{
        for (size_t i = 0; i < source->n_files; i++)
                free(source->files[i]);
        free(source->files);
        free(source->lines);
        free(source->text);
        *source = CONFIG_SOURCE_NULL;
}
