# Completion of echod(8) for bash: its options, files, and the names of the configuration's options,
# which echod itself tells.

# With the metrics, which -T does not show unless they are served; not every echod has them.
_echod_configuration() {
        "$1" -T -c /dev/null -o 'metrics = {};' 2>/dev/null || "$1" -T -c /dev/null 2>/dev/null
}

_echod() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} names

        COMPREPLY=()
        case $prev in
        -c)
                compopt -o filenames # not with -o: bash would quote the equal sign
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                ;;
        -o)
                names=$(_echod_configuration "${COMP_WORDS[0]}" |
                        sed -n 's/^\([a-z_]*\) *[:=].*/\1=/p')
                compopt -o nospace
                mapfile -t COMPREPLY < <(compgen -W "$names" -- "$cur")
                ;;
        *)
                mapfile -t COMPREPLY < <(compgen -W '-c -o -t -T -v -V -h' -- "$cur")
                ;;
        esac
}

complete -F _echod echod
