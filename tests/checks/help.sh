#!/bin/bash
# Every command and option of --help is in the manual page and in the completion, and nothing else is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
page=$root/docs/refork.1
plain=$(mandoc -Tascii "$page" | col -b)

commands=$("$refork" help --words) || fail "help --words"
[ "$(wc -w <<<"$commands")" -ge 7 ] || fail "only these commands: $commands"
documented=$(sed -n '/^\.Sh DESCRIPTION/,/^\.Sh KEYS/s/^\.Ss //p' "$page")
[ "$(sort <<<"$documented")" = "$(sort <<<"$commands")" ] || fail "commands of the page: $documented; of refork: $commands"

# The page's section of one command: the options in its .It lines.
page_options() { sed -n "/^\.Ss $1\$/,/^\.S[sh] /p" "$page" | sed -nE '/^\.It /{s/.*Fl Fl ([a-z-]+).*/--\1/p}' | sort; }
PATH=$build:$PATH
for shell in bash zsh fish; do
    "$refork" help --completion "$shell" >"$out/completion.$shell" || fail "help --completion $shell"
    "$shell" -n "$out/completion.$shell" || fail "$shell cannot read its completion"
done
# shellcheck source=/dev/null
. "$out/completion.bash"
completed() { # WORD...: what bash offers for the last one
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _refork
    printf '%s\n' "${COMPREPLY[@]}"
}

fished() { HOME=$out XDG_CONFIG_HOME=$out XDG_DATA_HOME=$out fish -c "source $out/completion.fish; complete -C '$*'" | cut -f 1; }

for command in $commands; do
    help=$("$refork" "$command" --help) || fail "$command --help: status $?"
    options=$(sed -nE 's/^  .{4}(--[a-z-]+).*/\1/p' <<<"$help" | sort)
    words=$("$refork" help --words "$command" | tr -d '=' | sort)
    [ "$options" = "$words" ] || fail "$command: --help shows $options, --words $words"
    [ "$(grep -vx -- --help <<<"$options")" = "$(page_options "$command")" ] ||
        fail "$command: --help shows $options, the page $(page_options "$command")"
    [ "$(completed refork "$command" -- | sort)" = "$options" ] || fail "$command: completion offers $(completed refork "$command" --)"
    [ "$(fished refork "$command" -- | sort)" = "$options" ] || fail "$command: fish offers $(fished refork "$command" --)"
    zsh_options=$(sed -n "/^    $command)/,/;;/p" "$out/completion.zsh" | sed -nE "s/^ +'[^[]*(--[a-z-]+)[^[]*\[.*/\1/p" | sort)
    [ "$zsh_options" = "$options" ] || fail "$command: zsh offers $zsh_options"
    grep -q 'usage: refork '"$command" <<<"$help" || fail "$command --help has no usage line"
    [ "$command" = help ] || grep -q 'Exit status' <<<"$help" || fail "$command --help does not tell the exit status"
    "$refork" help "$command" | cmp -s - <(echo "$help") || fail "help $command differs from $command --help"
    grep -qE "^ +$command" <<<"$("$refork" --help)" || fail "refork --help does not list $command"
done
[ "$(completed refork rec)" = record ] || fail "completion of rec: $(completed refork rec)"
for value in 'fail-on pr:proved' 'strategy d:directed'; do
    read -r option start <<<"${value%:*}"
    grep -qx "${value#*:}" <<<"$(completed refork hunt "--$option" "$start")" || fail "bash: --$option $start"
    grep -qx "${value#*:}" <<<"$(fished refork hunt "--$option" "$start")" || fail "fish: --$option $start"
done
[ "$(completed refork record true --)" = "" ] || fail "completion offers refork's options to the program"

for status in 120 121 122 125 126 127; do grep -qE "^ +$status\b" <<<"$plain" || fail "the page has no exit status $status"; done
"$refork" help --keys --roff | awk -f "$root/docs/keys.awk" >"$out/keys" || fail "help --keys"
[ -s "$out/keys" ] || fail "help --keys prints nothing"
sed -n '/begin keys/,/end keys/p' "$page" | sed '1d;$d' | cmp - "$out/keys" || fail "the keys of the page are not those of 'refork help --keys --roff': run 'make keys'"
"$refork" --version | grep -qE '^refork [0-9.]+$' || fail "--version"
