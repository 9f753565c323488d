// The loops of test_loop_site.c: what stubs have to live with.
#ifndef REFORK_TESTS_UNIT_LOOP_SUBJECTS_H
#define REFORK_TESTS_UNIT_LOOP_SUBJECTS_H

// ---- loops by hand: NAME ... NAME_end, uint64_t f(uint64_t)
// clang-format off
#define LOOP(name, body) ".p2align 4\n.globl " #name ", " #name "_end\n" #name ":\n" body "\n" #name "_end:\n"
asm(".text\n"
    LOOP(tight, "xor %eax,%eax\n 1: add $1,%rax\n cmp %rdi,%rax\n jne 1b\n ret")
    LOOP(dec_jnz, "1: dec %edi\n jnz 1b\n lea 7(%rdi),%rax\n ret")
    LOOP(loop_insn, "mov %rdi,%rcx\n xor %eax,%eax\n 1: add %rcx,%rax\n loop 1b\n ret")
    LOOP(loope_insn, "mov %rdi,%rcx\n xor %eax,%eax\n 1: inc %eax\n cmp %eax,%eax\n loope 1b\n ret")
    LOOP(jrcxz_insn, "mov %rdi,%rcx\n xor %eax,%eax\n 1: jrcxz 2f\n add %rcx,%rax\n dec %rcx\n jmp 1b\n 2: ret")
    LOOP(calls, "push %rbx\n mov %edi,%ebx\n xor %eax,%eax\n 1: call own_return\n dec %ebx\n jnz 1b\n pop %rbx\n ret")
    LOOP(own_return, "add (%rsp),%rax\n ret")
    LOOP(calls_slot, "push %rbx\n mov %edi,%ebx\n xor %eax,%eax\n lea slots-0x1000(%rip),%rdx\n"
                     "1: call *slots(%rip)\n call *0x1000(%rdx)\n dec %ebx\n jnz 1b\n pop %rbx\n ret")
    LOOP(rip_data, "xor %eax,%eax\n movl $0,cell(%rip)\n 1: incl cell(%rip)\n add cell(%rip),%eax\n"
                   "cmpl $37,cell(%rip)\n lea cell(%rip),%rdx\n jne 1b\n sub %rdx,%rax\n ret")
    LOOP(flags_live, "mov %rdi,%rcx\n mov $1,%eax\n xor %edx,%edx\n 1: adc $0x76543210,%rax\n rcl $1,%rdx\n lea -1(%rcx),%rcx\n"
                     "jrcxz 2f\n jmp 1b\n 2: xor %rdx,%rax\n ret")
    LOOP(all_flags, "mov %rdi,%rcx\n xor %edx,%edx\n xor %r8d,%r8d\n 1: imul $0x10dcd,%rdi,%rdi\n add %dil,%dl\n"
                    "seto %r9b\n setp %r10b\n sets %r11b\n movzx %r9b,%r9d\n lahf\n lea (%r8,%r8,2),%r8\n lea (%r8,%r9),%r8\n"
                    "movzx %ah,%eax\n lea (%r8,%rax),%r8\n lea -1(%rcx),%rcx\n jrcxz 2f\n jmp 1b\n 2: mov %r8,%rax\n ret")
    LOOP(direction, "lea block+255(%rip),%rsi\n mov %rdi,%rcx\n xor %edx,%edx\n xor %eax,%eax\n std\n"
                    "1: lodsb\n rol $5,%rdx\n add %rax,%rdx\n dec %ecx\n jnz 1b\n cld\n mov %rdx,%rax\n ret")
    LOOP(red_zone, "xor %eax,%eax\n mov %rdi,-8(%rsp)\n movq $3,-128(%rsp)\n movq $5,-64(%rsp)\n 1: add -128(%rsp),%rax\n"
                   "add -64(%rsp),%rax\n incq -128(%rsp)\n add %rax,-120(%rsp)\n decq -8(%rsp)\n jnz 1b\n xor -120(%rsp),%rax\n xor -120(%rsp),%rax\n ret")
    LOOP(pauses, "xor %eax,%eax\n 1: pause\n inc %eax\n cmp %eax,%edi\n jne 1b\n ret")
    LOOP(far_jcc, "xor %eax,%eax\n 1: inc %eax\n .skip 150,0x90\n cmp %eax,%edi\n jne 1b\n ret")
    LOOP(forward, "xor %eax,%eax\n 1: test $1,%dil\n jz 3f\n lea 3(%rax),%rax\n jmp 4f\n 3: not %rax\n 4: dec %edi\n jne 1b\n ret")
    LOOP(strings, "mov %rdi,%rdx\n 1: lea block(%rip),%rsi\n lea block2(%rip),%rdi\n mov $100,%ecx\n rep movsb\n dec %edx\n jnz 1b\n"
                  "mov block2+50(%rip),%rax\n ret")
    LOOP(locked, "mov $1,%eax\n mov %rdi,%rcx\n 1: lock addl $3,cell2(%rip)\n mov $5,%eax\n lock xadd %eax,cell2(%rip)\n dec %ecx\n jnz 1b\n ret")
    LOOP(skips_lock, "xor %eax,%eax\n 1: test $1,%dil\n je 2f+1\n 2: lock incl cell3(%rip)\n dec %edi\n jnz 1b\n mov cell3(%rip),%eax\n ret")
    LOOP(entered, "xor %eax,%eax\n test $1,%dil\n jnz 2f\n 1: inc %eax\n 2: inc %eax\n dec %edi\n jnz 1b\n ret")
    LOOP(cold_entry, "xor %eax,%eax\n jmp cold_part\n 1: inc %eax\n cold_back: dec %edi\n jnz 1b\n ret")
    LOOP(cold_part, "inc %eax\n nop\n jmp cold_back")
    LOOP(computed, "xor %eax,%eax\n lea 3f(%rip),%rdx\n 1: inc %eax\n jmp *%rdx\n 3: dec %edi\n jnz 1b\n ret")
    LOOP(stack_moves, "xor %eax,%eax\n 1: push %rdi\n add %rsp,%rax\n pop %rdx\n xor %rdx,%rax\n dec %edi\n jnz 1b\n ret")
    LOOP(vectors, "mov %edi,%ecx\n pxor %xmm0,%xmm0\n 1: movdqu block(%rip),%xmm1\n paddq %xmm1,%xmm0\n dec %ecx\n jnz 1b\n movq %xmm0,%rax\n ret")
    LOOP(with_syscall, "mov %edi,%edx\n xor %r8d,%r8d\n 1: mov %r8d,%r8d\n movl $102,%eax\n syscall\n nop\n nop\n nop\n nop\n dec %edx\n jnz 1b\n xor %eax,%eax\n ret")
    LOOP(waits_flag, "xor %eax,%eax\n 1: mov flag(%rip),%edx\n test %edx,%edx\n je 1b\n mov %rdx,%rax\n ret")
    LOOP(endless, "xor %eax,%eax\n 1: add $1,%rax\n jmp 1b\n ret")
    LOOP(idle, "1: jmp 1b\n ret")
    ".data\n.p2align 3\nslots: .quad own_return,own_return\ncell: .quad 0\ncell2: .quad 0\ncell3: .quad 0\n.globl flag\nflag: .quad 0\n"
    "block: .fill 64,4,0x51a7c39b\nblock2: .skip 256\n.text\n");
// clang-format on

#endif
