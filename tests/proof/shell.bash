# A bash script with pipelines, subshells, substitutions, here-documents, background jobs and wait.
count=$(seq 1 200 | grep -c 7)
echo "sevens: $count"
(
    cd /usr || exit 1
    echo "in a subshell: $PWD, level $BASH_SUBSHELL"
)
jobs_done=()
for i in 1 2 3; do
    (exit "$i") &
    jobs_done+=($!)
done
for pid in "${jobs_done[@]}"; do
    wait "$pid"
    echo "status $?"
done
seq 1 50 | tr '\n' ' ' | { read -r first rest; echo "first $first, rest ${#rest}"; }
diff <(printf 'a\nb\n') <(printf 'a\nc\n') | sed 's/^/diff: /'
cat <<END | tac
two
one
END
trap 'echo "trapped USR1"' USR1
kill -USR1 $$
while read -r line; do set -- "$@" "$line"; done < <(printf '%s\n' x y z)
echo "$# arguments: $*"
exec 3< <(sleep 0.05; echo "late")
read -r -u 3 word
echo "$word"
wait
echo "done"
