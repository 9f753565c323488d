# shellcheck shell=bash
# bash completion of refork. It asks refork itself for the words (refork help --words), so it cannot grow old.
_refork() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} refork=${COMP_WORDS[0]} command i
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$refork" help --words 2>/dev/null) --help --version" -- "$current")
        return
    fi
    command=${COMP_WORDS[1]}
    if [ "$command" = record ] || [ "$command" = hunt ]; then
        # What follows the program's name is its own command line.
        for ((i = 2; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            -o | --output | --seed | --schedule | --save-schedule | --log | --runs | --for | --timeout | --strategy | --before | --after | --junit | --input | --healthy | --state | --shard | --fail-on) ((i++)) ;;
            --) ((i++)) && break ;;
            -*) ;;
            *) break ;;
            esac
        done
        if [ "$i" -lt "$COMP_CWORD" ]; then
            if declare -F _command_offset >/dev/null; then _command_offset "$i"; else mapfile -t COMPREPLY < <(compgen -f -- "$current"); fi
            return
        fi
    fi
    if [ "$command" = verify ] || [ "$command" = minimize ]; then
        # What follows "--" is a program's command line.
        for ((i = 2; i < COMP_CWORD; i++)); do
            [ "${COMP_WORDS[i]}" = -- ] || continue
            if declare -F _command_offset >/dev/null; then _command_offset $((i + 1)); else mapfile -t COMPREPLY < <(compgen -f -- "$current"); fi
            return
        done
    fi
    case $previous in
    -o | --output | --schedule | --save-schedule | --log | --junit | --input)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --to)
        [ "$command" = export ] && mapfile -t COMPREPLY < <(compgen -W "html json" -- "$current")
        return
        ;;
    --strategy)
        mapfile -t COMPREPLY < <(compgen -W "directed pct random delay" -- "$current")
        return
        ;;
    --fail-on)
        mapfile -t COMPREPLY < <(compgen -W "proved likely suspicious" -- "$current")
        return
        ;;
    --state)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --before | --after | --gdb)
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
        return
        ;;
    --runs | --for | --timeout | --waiting | --seed | --healthy | --shard | --error-exitcode | --from | --task | --at | --process | --listen | --script | --size) return ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$refork" help --words "$command" 2>/dev/null | tr -d '=')" -- "$current")
    elif [ "$command" = help ]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$refork" help --words 2>/dev/null)" -- "$current")
    elif [ "$command" = record ] || [ "$command" = hunt ]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
    elif [ "$command" = diagnose ]; then
        mapfile -t COMPREPLY < <(
            compgen -W "$(cd /proc 2>/dev/null && echo [0-9]*)" -- "$current"
            compgen -f -- "$current"
        )
    else
        mapfile -t COMPREPLY < <(
            compgen -f -X '!*.refork' -- "$current"
            compgen -d -- "$current"
        )
    fi
}
complete -o filenames -F _refork refork
