/**
 * Included before every source: binds to the oldest glibc symbol versions, so that a binary linked on a new system
 * runs on an old one. A new linker would pick GLIBC_2.34 for what glibc moved out of libdl and libpthread, which boards
 * with Debian 11, Ubuntu 20.04 or JetPack 5 lack. test/runner/glibc.test.ts reads the result.
 */
#if defined __aarch64__
#define OLDEST "GLIBC_2.17"
#elif defined __x86_64__
#define OLDEST "GLIBC_2.2.5"
#else
#error "no glibc baseline for this architecture"
#endif

__asm__(".symver __libc_start_main,__libc_start_main@" OLDEST "\n"
        ".symver dlopen,dlopen@" OLDEST "\n"
        ".symver dlsym,dlsym@" OLDEST "\n"
        ".symver dlerror,dlerror@" OLDEST "\n"
        ".symver pthread_create,pthread_create@" OLDEST "\n"
        ".symver pthread_join,pthread_join@" OLDEST "\n"
        ".symver pthread_attr_setstacksize,pthread_attr_setstacksize@" OLDEST "\n");
