/**
 * The program's entry in place of the system's crt1.o, which would call __libc_start_main@GLIBC_2.34. Linked with
 * -nostartfiles. The older version takes the constructors as an argument; the runner has none.
 */
#include <stddef.h>

int main(int argc, char **argv);
int __libc_start_main(int (*main)(int, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end);

static void nothing(void) {}

__attribute__((used, noreturn)) static void start(long *stack, void (*loader_fini)(void)) {
  __libc_start_main(main, (int)stack[0], (char **)(stack + 1), nothing, nothing, loader_fini, stack);
  __builtin_trap();
}

#if defined __aarch64__
__asm__(".globl _start\n.type _start,%function\n_start:\n mov x29,#0\n mov x30,#0\n mov x1,x0\n mov x0,sp\n b start\n");
#else
__asm__(".globl _start\n.type _start,@function\n_start:\n xor %ebp,%ebp\n mov %rdx,%rsi\n mov %rsp,%rdi\n and $-16,%rsp\n call start\n");
#endif
