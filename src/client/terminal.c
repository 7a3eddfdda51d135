#include "terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80

size_t terminal_width(int descriptor)
{
        struct winsize size = {0};

        if (!isatty(descriptor))
                return 0;
        if (ioctl(descriptor, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return WIDTH_DEFAULT;
        return size.ws_col;
}

/* The process stays in the C locale: numbers are to be read by others. */
bool terminal_is_utf8(void)
{
        locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
        bool is_utf8;

        if (locale == (locale_t)0) /* there is none of that name */
                return false;
        is_utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
        freelocale(locale);
        return is_utf8;
}
