# Completion of echoc(1) for bash: the options of the mode that is on the command line.

_echoc() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word
        local options='-4 -6 -c -i -s -W -q --seed --transcript --load --hold --status --help --version'

        COMPREPLY=()
        case $prev in
        -c | -i | -s | -W | -m | -n | -d | -t | --clients | --threads | --rate | --seed)
                return
                ;;
        esac
        for word in "${COMP_WORDS[@]}"; do
                case $word in
                --transcript) options='-4 -6 --clients -i -W -m' ;;
                --load) options='-4 -6 -n -s -d -t --threads --rate --bulk --connect --json --seed' ;;
                --hold) options='-4 -6 -n -s -t -W --seed' ;;
                --status) options='-4 -6 -c -i -W' ;;
                esac
        done
        if [[ $cur == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
        elif [[ $cur == */* ]]; then
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        else
                mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur")
        fi
}

complete -o filenames -F _echoc echoc
