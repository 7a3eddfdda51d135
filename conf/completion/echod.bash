# Completion of echod(8) for bash: its options, files, and the names of the configuration's options,
# which echod itself tells.

_echod() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} names

        COMPREPLY=()
        case $prev in
        -c)
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                ;;
        -o)
                names=$("${COMP_WORDS[0]}" -T -c /dev/null 2>/dev/null |
                        sed -n 's/^\([a-z_]*\) *[:=].*/\1=/p')
                compopt -o nospace
                mapfile -t COMPREPLY < <(compgen -W "$names" -- "$cur")
                ;;
        *)
                mapfile -t COMPREPLY < <(compgen -W '-c -o -t -T -v -V -h' -- "$cur")
                ;;
        esac
}

complete -o filenames -F _echod echod
