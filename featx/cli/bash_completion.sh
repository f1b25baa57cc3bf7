%(complete_func)s() {
    local kind value files=no
    COMPREPLY=()
    while IFS=',' read -r kind value; do
        case "$kind" in
            plain) COMPREPLY+=("$value") ;;
            file | dir) files=$kind ;;
        esac
    done < <(
        env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \
            %(complete_var)s=bash_complete "$1" 2>/dev/null
    )
    [[ $files == no ]] && return 0
    if ((${#COMPREPLY[@]} == 0)); then  # bash knows best how to complete and quote files
        [[ $files == dir ]] && compopt -o dirnames -o filenames || compopt -o default
        return 0
    fi
    compopt -o filenames
    while read -r value; do
        [[ " ${COMPREPLY[*]} " == *" $value "* ]] || COMPREPLY+=("$value")
    done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
