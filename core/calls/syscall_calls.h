// The functions that CALL(...) rows of core/calls/syscalls.def name: sizes that no column can say. Private to
// core/syscall_*.c.
#ifndef REFORK_CORE_CALLS_SYSCALL_CALLS_H
#define REFORK_CORE_CALLS_SYSCALL_CALLS_H

#include "core/calls/syscall_walk.h"

#define WALK_CALLS(X)                                                                                        \
    X(select)                                                                                                \
    X(msgrcv)                                                                                                \
    X(socket_name)                                                                                           \
    X(recvfrom)                                                                                              \
    X(sendmsg)                                                                                               \
    X(recvmsg)                                                                                               \
    X(sendmmsg)                                                                                              \
    X(recvmmsg)                                                                                              \
    X(getsockopt)                                                                                            \
    X(setsockopt)                                                                                            \
    X(syslog)                                                                                                \
    X(capget)                                                                                                \
    X(futex)                                                                                                 \
    X(clock_nanosleep)                                                                                       \
    X(mq_timedsend)                                                                                          \
    X(waitid)                                                                                                \
    X(name_to_handle_at)                                                                                     \
    X(statmount)                                                                                             \
    X(modify_ldt)                                                                                            \
    X(keyctl)                                                                                                \
    X(lsm_get_self_attr)                                                                                     \
    X(lsm_list_modules)                                                                                      \
    X(interrupted)                                                                                           \
    X(sysfs)                                                                                                 \
    X(quotactl)                                                                                              \
    X(get_mempolicy)                                                                                         \
    X(getxattrat)
#define WALK_DECLARE(name) void walk_##name(struct walk *w);
WALK_CALLS(WALK_DECLARE)
#undef WALK_DECLARE

#endif
