// The CPUs that the program is told of: those that it would see alone, although one task of it runs at a time.
#ifndef REFORK_RECORDER_CPUS_H
#define REFORK_RECORDER_CPUS_H

#include "recorder/state.h"
#include "recorder/task.h"

// Before refork pins itself to one CPU: remembers those that it might use.
void cpus_remember(struct recorder *r);
// The CPUs that t is told of: CPU_WORDS words.
const uint64_t *cpus_of(const struct recorder *r, const struct task *t);
// The one of them that it is told it runs on: refork's own where that is among them, else the first.
unsigned cpus_here(const struct recorder *r, const struct task *t);
// The memory node of a CPU; 0: this machine has no such CPU.
unsigned cpus_node(unsigned cpu);
// What rdtscp and rdpid give: IA32_TSC_AUX, where Linux has the node above twelve bits of the CPU.
uint32_t cpus_aux(const struct recorder *r, const struct task *t);
// A sched_getaffinity of t has returned `ret`: what it wrote becomes the CPUs of that task. Returns the result that it has then.
int64_t cpus_tell(struct recorder *r, struct task *t, int64_t ret);
// A getcpu of t has returned: what it wrote becomes the CPU that t is told of.
void cpus_tell_here(const struct recorder *r, struct task *t);
// A sched_setaffinity of t, which never reaches the kernel. Returns its result.
int64_t cpus_choose(struct recorder *r, struct task *t);

// Real-time policies are remembered and told, not had: such a task would keep the CPU from the recorder. For the moment of a call
// that asks or sets, the task it is about has the policy that the program believes in, so the kernel gives its own answer.
void cpus_policy_shown(struct recorder *r, struct task *t); // at the call's entry
void cpus_policy_noted(struct recorder *r, struct task *t); // at its exit
void cpus_inherit_policy(const struct task *parent, struct task *child);

#endif
