# Holds a verdict (the JSON of `refork explain`) against expectations; prints what is wrong, nothing when all is well.
# --arg expect: lines of "KIND [KEY=VALUE]..." or "none"; --arg own: the source file whose functions count as the program's
# own, "" for a program without one; --argjson deadlock: what that field must be.
#
# Keys (blanks in a value are written as _, a * at its end stands for anything):
#   confidence, lock (symbol), lockkind, holder, start (the holder's start routine), signal
#   focus           the function that the wait is about
#   forker=true     the forking thread held it
#   name            of the waiting thread
#   cause           cross-process-wait: the kind of the finding that it comes from
#   waker, gone     a name among `wakers`, among `vanished`
#   destructors, keys    of one of the `vanished`
#   local, localmodule   a name, and a module, among its thread_local data
#   ended, endedby  how the holder ended: the signal's name, else exited, exec, thread_ended; the name of who sent it
#   allocated       FUNCTION of the allocator and the top of its stack, as in malloc:make_queue
#   acquired, waiting, fork    the top of that stack: OWN or OWN/CALLED, where OWN is the innermost function of the own source
#                   and CALLED what it called there, a function of a library. Without a source of its own: F,G...: these
#                   functions are in the stack, in this order from the innermost; a script's come before the interpreter's
#                   frame that runs them.
def bare: gsub("\\(anonymous namespace\\)::"; "") | sub("@.*"; "") | sub("\\(.*"; "");
# A library's function has spellings that depend on its debug file being there: ___pthread_mutex_lock, __GI___libc_fork.
def plain: bare | sub("^_*(GI_+)?"; "") | sub("^libc_(?<f>fork)$"; .f);
def matches($v): (. // "" | tostring | gsub(" "; "_")) as $is
    | if $v | endswith("*") then $is | startswith($v | rtrimstr("*")) else $is == $v end;
def top: (map((.file // "") | endswith("/" + $own)) | index(true)) as $at
    | if $at == null then ["", ""]
      else [(.[$at].function // "" | bare), (if $at > 0 then .[$at - 1].function // "" | plain else "" end)] end;
def starts($v): ($v | split("/")) as $want | top as [$mine, $called]
    | $mine == $want[0] and ($want[1] == null or $called == $want[1]);
def in_order($v): reduce (.[] | (.script // [])[], .) as $f ($v | split(","); if length > 0 and ($f.function // "" | plain) == .[0] then .[1:] else . end)
    | length == 0;
def stack($v): (.frames // []) | if $own == "" then in_order($v) else starts($v) end;

def meets($all; $key; $v):
    if $key == "confidence" then .confidence == $v
    elif $key == "lock" then .lock.symbol | matches($v)
    elif $key == "lockkind" then .lock.kind | matches($v)
    elif $key == "holder" then .holder.name | matches($v)
    elif $key == "focus" then .waiting.focus.function // "" | matches($v)
    elif $key == "start" then .holder.start_routine // "" | bare | matches($v)
    elif $key == "signal" then .signal | matches($v)
    elif $key == "forker" then .holder_is_forker | matches($v)
    elif $key == "name" then .waiting.name | matches($v)
    elif $key == "cause" then $all[.caused_by // ($all | length)].kind == $v
    elif $key == "waker" then any(.wakers[]?; .task.name | matches($v))
    elif $key == "gone" then any(.vanished[]?; .task.name | matches($v))
    elif $key == "destructors" then any(.vanished[]?; .destructors | matches($v))
    elif $key == "keys" then any(.vanished[]?; .keys | matches($v))
    elif $key == "local" then any(.vanished[]?.thread_locals[]?; .name | matches($v))
    elif $key == "localmodule" then any(.vanished[]?.thread_locals[]?; .module | matches($v))
    elif $key == "ended" then .holder_end | (.signal_name // .how) | matches($v)
    elif $key == "killed" then .waiter_end | (.signal_name // "no") | matches($v)
    elif $key == "killedby" then .waiter_end.by.name | matches($v)
    elif $key == "endedby" then .holder_end.by.name | matches($v)
    elif $key == "allocated" then
        .lock.allocated as $a | ($v | split(":")) as $want | $a != null and ($a.function | matches($want[0])) and ($a | stack($want[1]))
    elif $key == "acquired" then .acquired | stack($v)
    elif $key == "waiting" then .waiting | stack($v)
    elif $key == "fork" then .fork | stack($v)
    else error("no key '\($key)'") end;

.findings as $all
| ($expect | split("\n") | map(select(. != "" and . != "none") | split(" "))) as $want
| ($want[] as $w
   | [$all[] | . as $f | select(.kind | matches($w[0]))
      | select(all($w[1:][] | capture("^(?<key>[^=]*)=(?<v>.*)$"); . as {$key, $v} | $f | meets($all; $key; $v)))] | length
   | select(. != 1) | "\(.) findings are '\($w | join(" "))'"),
  (if ($all | length) != ($want | length) then "\($all | length) findings, not \($want | length)" else empty end),
  (if .deadlock != $deadlock then "'deadlock' is \(.deadlock)" else empty end)
