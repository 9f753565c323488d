// no_cpuid_faulting [--rdtsc] COMMAND [ARG...]: executes it on what looks like a machine whose CPU does not trap cpuid: arch_prctl with
// ARCH_GET_CPUID (0x1011) and ARCH_SET_CPUID (0x1012) is ENODEV, as on AMD and in most virtual machines. With --rdtsc also
// PR_SET_TSC answers 0 and does nothing, as in a VM whose kernel runs unprivileged (PVM).
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    bool rdtsc = argc > 1 && strcmp(argv[1], "--rdtsc") == 0;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1011, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1012, 3, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rdtsc ? PR_SET_TSC : 0xffffffff, 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENODEV),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    argv += rdtsc;
    if (!argv[1]) return 2;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("no_cpuid_faulting: seccomp");
        return 125;
    }
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
