# The TUI's keys, from man(7) (refork help --keys --roff) to the mdoc(7) that refork.1 is written in. The zero-width \&
# before each word keeps mdoc from taking it for a macro or for punctuation.
function close_list() { if (open) print ".El"; open = 0 }
/^\.SS / {
    close_list()
    gsub(/"/, "")
    print ".Ss " substr($0, 5)
    print ".Bl -tag -width Ds"
    open = 1
    next
}
/^\.TP/ { next }
/^\.B / {
    line = ".It Ic"
    for (i = 2; i <= NF; i++) line = line " " (substr($i, 1, 2) == "\\&" ? "" : "\\&") $i
    print line
    next
}
{ print }
END { close_list() }
