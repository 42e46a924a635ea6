/* A machine whose clock can be set without setting that of the machine: loaded into a program before it starts, this
 * adds what a shared file says to the wall clock and to the clock that goes on during a suspension. CLOCK_MONOTONIC
 * stays what it is, as it does when a machine is suspended.
 *
 * The Rust standard library asks libc, other crates ask the kernel's vDSO themselves; so the vDSO's function is
 * replaced, within this process only, and all of them are served. The file holds two 64-bit numbers, nanoseconds. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
static const char *const NAME = "__vdso_clock_gettime";
#elif defined(__aarch64__)
static const char *const NAME = "__kernel_clock_gettime";
#else
#error "no jump is known for this processor"
#endif

static volatile int64_t *ahead; /* [0]: CLOCK_REALTIME, [1]: CLOCK_BOOTTIME */

static int shifted(clockid_t clock, struct timespec *ts) {
    long failed = syscall(SYS_clock_gettime, clock, ts);
    if (failed != 0 || ahead == NULL || ts == NULL)
        return (int)failed;
    int64_t by = 0;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        by = ahead[0];
    else if (clock == CLOCK_BOOTTIME)
        by = ahead[1];
    int64_t seconds = ts->tv_sec + by / 1000000000, nanos = ts->tv_nsec + by % 1000000000;
    if (nanos < 0) {
        nanos += 1000000000;
        seconds -= 1;
    } else if (nanos >= 1000000000) {
        nanos -= 1000000000;
        seconds += 1;
    }
    ts->tv_sec = seconds;
    ts->tv_nsec = nanos;
    return 0;
}

/* The address of the vDSO's function, found in its table of dynamic symbols. */
static unsigned char *find(unsigned char *base) {
    Elf64_Ehdr *head = (Elf64_Ehdr *)base;
    Elf64_Phdr *parts = (Elf64_Phdr *)(base + head->e_phoff);
    uintptr_t shift = 0;
    Elf64_Dyn *dynamic = NULL;
    for (int i = 0; i < head->e_phnum; i++) {
        if (parts[i].p_type == PT_LOAD)
            shift = (uintptr_t)base + parts[i].p_offset - parts[i].p_vaddr;
        if (parts[i].p_type == PT_DYNAMIC)
            dynamic = (Elf64_Dyn *)(base + parts[i].p_offset);
    }
    if (dynamic == NULL)
        return NULL;
    const char *names = NULL;
    Elf64_Sym *symbols = NULL;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_STRTAB)
            names = (const char *)(shift + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_SYMTAB)
            symbols = (Elf64_Sym *)(shift + dynamic->d_un.d_ptr);
    }
    /* The table of names follows that of symbols: there the symbols end. */
    for (Elf64_Sym *s = symbols; s != NULL && (const char *)s < names; s++)
        if (s->st_shndx != SHN_UNDEF && strcmp(names + s->st_name, NAME) == 0)
            return (unsigned char *)(shift + s->st_value);
    return NULL;
}

static void fail(const char *what) {
    write(2, what, strlen(what));
    _exit(99);
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SHIFTED_CLOCK");
    if (path == NULL)
        return;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        fail("shim: the file cannot be opened\n");
    void *map = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map == MAP_FAILED)
        fail("shim: the file cannot be mapped\n");
    ahead = map;
    unsigned char *base = (unsigned char *)getauxval(AT_SYSINFO_EHDR);
    unsigned char *entry = base == NULL ? NULL : find(base);
    if (entry == NULL)
        fail("shim: there is no vDSO\n");
    uintptr_t page = (uintptr_t)entry & ~(uintptr_t)4095;
    if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) != 0 &&
        mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        fail("shim: the vDSO cannot be written\n");
    void *to = (void *)shifted;
#if defined(__x86_64__)
    unsigned char jump[12] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0}; /* mov rax, to; jmp rax */
    memcpy(jump + 2, &to, 8);
#else
    unsigned char jump[16] = {0x50, 0, 0, 0x58, 0, 2, 0x1f, 0xd6}; /* ldr x16, #8; br x16; to */
    memcpy(jump + 8, &to, 8);
#endif
    memcpy(entry, jump, sizeof jump);
    __builtin___clear_cache((char *)entry, (char *)entry + sizeof jump);
}
