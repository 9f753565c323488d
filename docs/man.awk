# Makes the manual page of one command from refork(1):
#   awk -v command=record -f docs/man.awk docs/refork.1 HELP
# HELP: what `refork help record` prints; its second line is the summary, and its examples become the page's. The page goes to stdout.
FNR == 1 { file++ }
file == 2 && FNR == 2 { summary = $0; sub(/\.$/, "", summary) }
file == 2 && /^Examples:/ { shown = 1; next }
file == 2 { if (shown) examples = examples substr($0, 3) "\n"; next }
/^\.Dd / { date = $0 }
/^\.Sh / { section = substr($0, 5); part = "" }
/^\.Ss / { part = $2; next }
section == "SYNOPSIS" {
    # A command's synopsis: from .Nm to the next .Nm
    if ($0 == ".Nm") mine = 0
    if ($0 == ".Cm " command) mine = 1
    if (mine) synopsis = synopsis $0 "\n"
}
section == "DESCRIPTION" && part == command { body = body $0 "\n" }
section == "EXIT STATUS" || section == "ENVIRONMENT" { tail[section] = tail[section] $0 "\n" }
END {
    if (body == "") { print "refork.1 has no section of " command > "/dev/stderr"; exit 1 }
    # References to sections of refork(1) that are not in this page
    while (match(body, /Sx [A-Z ]*[A-Z]/))
        body = substr(body, 1, RSTART - 1) substr(body, RSTART + 3, RLENGTH - 3) " in Xr refork 1" substr(body, RSTART + RLENGTH)
    printf "%s\n.Dt REFORK-%s 1\n.Os\n.Sh NAME\n.Nm refork-%s\n.Nd %s\n", date, toupper(command), command, summary
    printf ".Sh SYNOPSIS\n.Nm refork\n%s.Sh DESCRIPTION\n%s%s", synopsis, body, tail["EXIT STATUS"]
    if (examples != "") printf ".Sh EXAMPLES\n.Bd -literal\n%s.Ed\n", examples
    print ".Sh SEE ALSO\n.Xr refork 1"
}
