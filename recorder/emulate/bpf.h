// Classic BPF as seccomp filters use it: seccomp(2), kernel/seccomp.c, net/core/filter.c. Programs are checked as the kernel
// checks them, and evaluated without it.
#ifndef REFORK_RECORDER_EMULATE_BPF_H
#define REFORK_RECORDER_EMULATE_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Would the kernel take this filter? (BPF_MAXINSNS, known instructions, jumps within it, loads from memory that was stored to,
// a return at the end.)
bool bpf_check(const struct sock_filter *code, size_t length);

// What a filter that bpf_check() has taken returns for this call: SECCOMP_RET_*, data included. A division by 0 returns 0, which is
// SECCOMP_RET_KILL_THREAD.
uint32_t bpf_run(const struct sock_filter *code, size_t length, const struct seccomp_data *data);

#endif
