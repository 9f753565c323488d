#!/bin/bash
# export --to strace: paths, flags, buffers, structs, sockets, signals and errors as strace -f writes them; which file a descriptor
# leads to. Held against strace itself where it is installed.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/programs/many_calls
ends 0 record --no-explain -o calls.refork -- "$program"
into calls 0 export --to strace calls.refork
has() { grep -qE -- "$1" calls || fail "no call as $1: $(grep -E -- "${2:-$1}" calls | head -n 3) (calls)"; }

has '^[0-9]+ +execve\("[^"]*many_calls", \["[^"]*"(\.\.\.)?\], 0x[0-9a-f]+ /\* [1-9][0-9]* vars \*/\) = 0$' execve
has ' openat\(AT_FDCWD, "many_calls.data", O_RDWR\|O_CREAT\|O_TRUNC\|O_CLOEXEC, 0640\) = 3<many_calls.data>$' many_calls.data
has ' write\(3<many_calls.data>, "a \\"quoted\\"\\n\\0\\1line\\2773 \\33\[1m, longer"\.\.\., 51\) = 51$' quoted
has ' read\(3<many_calls.data>, "\\"quoted\\"", 8\) +?= 8$' 'read\(3'
has ' writev\(3<many_calls.data>, \[\{iov_base="ab", iov_len=2\}, \{iov_base="cde", iov_len=3\}\], 2\) = 5$' writev
has '"/dev/null", \{st_mode=S_IFCHR\|0666, st_rdev=makedev\(0x1, 0x3\), \.\.\.\}' /dev/null
has '"/no/such/file", 0x[0-9a-f]+, .*= -1 ENOENT \(No such file or directory\)$' /no/such
has ' access\("n{299}", R_OK\|W_OK\) += -1 ENAMETOOLONG' 'access\("n'
has ' fcntl\(3<many_calls.data>, F_GETFL\) += 0x8?002 \(flags O_RDWR' F_GETFL
has ' fcntl\(3<many_calls.data>, F_GETFD\) += 0x1 \(flags FD_CLOEXEC\)$' F_GETFD
has ' fcntl\(3<many_calls.data>, F_SETLK, \{l_type=F_WRLCK, l_whence=SEEK_SET, l_start=0, l_len=10\}\) = 0$' F_SETLK
has ' openat\(5<\.>, "no such file", O_RDONLY\) += -1 ENOENT' 'no such file'
has ' openat\(5<\.>, "many_calls.data", O_RDONLY\|O_NOFOLLOW\) += 6<\./many_calls.data>$' O_NOFOLLOW
has ' mmap\(NULL, 4096, PROT_READ, MAP_PRIVATE, 6<\./many_calls.data>, 0\) = 0x' 'mmap.*MAP_PRIVATE, 6'
has ' close\(100<many_calls.data>\) += 0$' 'close\(100'
has ' close\(3\) += -1 EBADF' 'close\(3\)'
pipe=$(sed -nE 's/.* pipe2\(\[3<(pipe:\[[0-9]+\])>, 4<\1>\], O_CLOEXEC\) = 0$/\1/p' calls | sed 's/[][]/\\&/g')
[ -n "$pipe" ] || fail "no pipe: $(grep pipe2 calls)"
has " poll\(\[\{fd=3<$pipe>, events=POLLIN\|POLLPRI\}\], 1, 0\) = 0 \(Timeout\)$" poll
has " poll\(.*, 2, 1000\) = 1 \(\[\{fd=4<$pipe>, revents=POLLOUT\}\]\)$" poll
has " pselect6\(5, NULL, \[4<$pipe>\], NULL, \{tv_sec=0, tv_nsec=0\}, NULL\) = 1 \(out \[4<$pipe>\], left \{tv_sec=0, tv_nsec=0\}\)$" select
has " epoll_ctl\(5<anon_inode:\[eventpoll\]>, EPOLL_CTL_ADD, 3<$pipe>, \{events=EPOLLIN\|EPOLLET, data=\{u32=7, u64=7\}\}\) = 0$" epoll_ctl
has ' epoll_wait\(.*, \[\{events=EPOLLIN, data=\{u32=7, u64=7\}\}\], 1, 1000\) = 1$' epoll_wait
has ' connect\(4<TCP:\[[0-9]+\]>, \{sa_family=AF_INET, sin_port=htons\([0-9]+\), sin_addr=inet_addr\("127.0.0.1"\)\}, 16\) = 0$' connect
has ' accept4\(3<TCP:.*\}, \[28 => 16\], SOCK_CLOEXEC\) = 5<TCP:\[[0-9]+->127.0.0.1:[0-9]+\]>$' accept4
has ' sendmsg\(.*cmsg_type=SCM_RIGHTS, cmsg_data=\[3<TCP:' sendmsg
has ' connect\(.*\{sa_family=AF_UNIX, sun_path="/no/such/socket"\}, 110\) = -1 ENOENT' sun_path
has ' rt_sigaction\(SIGUSR1, \{sa_handler=0x[0-9a-f]+, sa_mask=\[HUP\], sa_flags=SA_RESTORER\|SA_RESTART, sa_restorer=0x[0-9a-f]+\}, NULL, 8\) = 0$' SIGUSR1
has ' rt_sigprocmask\(SIG_BLOCK, \[TERM\], NULL, 8\) += 0$' SIG_BLOCK
has ' --- SIGUSR1 \{si_signo=SIGUSR1, si_code=SI_USER, si_pid=[0-9]+, si_uid=[0-9]+\} ---$' SIGUSR1
has ' \+\+\+ exited with 3 \+\+\+$' exited
has ' execve\("/bin/true", \["true", "an argument"\], 0x[0-9a-f]+ /\* [0-9]+ vars \*/( <unfinished|\) = 0)' execve
has 'wait4.*\[\{WIFEXITED\(s\) && WEXITSTATUS\(s\) == 3\}\], 0, NULL\) = [0-9]+$' wait4
has ' uname\(\{sysname="Linux", nodename="' uname
has ' prctl\(PR_SET_NAME, "calls"\) += 0$' PR_SET_NAME

# dump says the same of what its events have the bytes of, and which file a descriptor is, also of a part in the middle.
into dump 0 dump calls.refork
read=$(awk '/ read\(3<many_calls.data>, "\\"quoted\\"", 8\) = 8 / {print $1}' dump)
[ -n "$read" ] || fail "dump shows no read of the file: $(grep 'read(3' dump)"
into part 0 dump --from "$read" --to "$read" calls.refork
[ "$(cat part)" = "$(awk -v n="$read" '$1 == n' dump)" ] || fail "dump --from says otherwise: $(cat part)"
grep -q ' openat(AT_FDCWD, "many_calls.data", O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0640) = 3<many_calls.data>' dump || fail "dump shows no open"
grep -qE ' (exit|syscall) +wait4\([0-9]+, \[\{WIFEXITED\(s\) && WEXITSTATUS\(s\) == 3\}\], 0, NULL\) = ' dump || fail "dump shows no wait4"

# A file, a disk that is full, a recording that is cut off.
ends 0 export --to strace -o file calls.refork
cmp -s file calls || fail "-o writes something else"
clean "$refork" export --to strace calls.refork >/dev/full 2>stderr
[ $? = 125 ] || fail "a full disk is no error: $(cat stderr)"
head -c $(($(stat -c %s calls.refork) * 2 / 3)) calls.refork >cut.refork
clean "$refork" export --to strace cut.refork >rest 2>stderr
[ $? = 122 ] || fail "a cut recording: $(cat stderr)"
says 125 '--to core' export --to strace --at 3 calls.refork

# What strace itself writes of the same program. Left out: what differs from run to run (numbers of processes, ports, addresses,
# times), what strace knows of the machine (directory and files of descriptors), what refork answers in the kernel's place (rseq), and
# calls while two tasks run at once, of which strace writes some in two lines.
command -v strace >/dev/null || exit 0
clean strace -f -o theirs "$program" || skip "strace cannot trace here"
plain() { # FILE
    sed -E 's/^[0-9]+ +//; / \+\+\+$/b; / ---$/d; /unfinished|resumed/d; /rseq|execve|rt_sigreturn|getrandom|prlimit64/d
        /clone|vfork|wait4|exit_group|set_robust_list/d
        s/([0-9])<[a-z][^>]*>/\1/g; s/([0-9])<([^<>]|->)*>/\1/g; s/0x[0-9a-f]{6,}/ADDRESS/g; s/htons\([0-9]+\)/PORT/g
        s/"[^"]*(ld\.so|lib)[^"]*"/LIBRARY/g; s/si_pid=[0-9]+/PID/; s/kill\([0-9]+/kill(PID/; s/ = [0-9]{3,}$/ = NUMBER/
        s/msg_namelen=[0-9]+ => /msg_namelen=/; s/ => \{parent_tid=[^}]*\}//; s/left \{[^}]*\}/LEFT/; s/ +/ /g' "$1" | sort
}
plain calls >ours.plain
plain theirs >theirs.plain
diff theirs.plain ours.plain >differs || fail "strace writes otherwise (< strace, > refork): $(head -n 20 differs)"
exit 0
