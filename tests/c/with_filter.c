/*
 * Runs a program under a seccomp filter.
 *
 *     with_filter old PROGRAM [ARGUMENT...]       as on Linux 3.10: newer system calls fail with ENOSYS
 *     with_filter accepting PROGRAM [ARGUMENT...] madvise accepts unknown advice, as in qemu-user
 *     with_filter sandbox PROGRAM [ARGUMENT...]   only the calls of docs/portability.md; any other ends the process
 *     with_filter without CALL PROGRAM [ARGUMENT...]   one of the calls of docs/portability.md fails with ENOSYS
 *     with_filter list                            the names of the calls that the sandbox allows
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif
#define WIPEONFORK 18

/* System calls newer than Linux 3.10, by number if this machine's headers may lack the name (x86-64). */
static const int newer[] = {
    SYS_getrandom, SYS_memfd_create, SYS_membarrier, SYS_copy_file_range, 332 /* statx */, 334 /* rseq */,
    435 /* clone3 */, 436 /* close_range */, 437 /* openat2 */, 439 /* faccessat2 */, 441 /* epoll_pwait2 */,
};

struct call {
  const char *name;
  int number;
};
#define CALL(name) {#name, SYS_##name}

/* The calls of the loader and the C library in an empty program, then those of the library, tckms-seal and tckms. */
static const struct call allowed[] = {
    CALL(execve), CALL(brk), CALL(mmap), CALL(mprotect), CALL(munmap), CALL(mremap), CALL(madvise), CALL(access),
    CALL(open), CALL(openat), CALL(close), CALL(read), CALL(pread64), CALL(write), CALL(writev), CALL(lseek), CALL(fstat),
    CALL(newfstatat), CALL(stat), CALL(lstat), {"statx", 332}, CALL(fcntl), CALL(ioctl), CALL(arch_prctl),
    CALL(set_tid_address), CALL(set_robust_list), {"rseq", 334}, CALL(prlimit64), CALL(getrandom), CALL(uname), CALL(prctl),
    CALL(futex), CALL(clone), {"clone3", 435}, CALL(exit), CALL(exit_group), CALL(sched_getaffinity), CALL(sched_yield),
    CALL(getpid), CALL(gettid), CALL(tgkill), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),
    CALL(sigaltstack), CALL(restart_syscall), CALL(clock_gettime), CALL(clock_nanosleep), CALL(nanosleep), CALL(poll),
    CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait), CALL(eventfd2), CALL(pipe2), CALL(socket), CALL(connect),
    CALL(bind), CALL(sendto), CALL(sendmsg), CALL(sendmmsg), CALL(recvfrom), CALL(recvmsg), CALL(shutdown),
    CALL(setsockopt), CALL(getsockopt), CALL(getsockname), CALL(getpeername), CALL(umask), CALL(fchmod), CALL(fchown),
    CALL(fsync), CALL(rename), CALL(renameat), CALL(unlink), CALL(unlinkat), CALL(readlink), CALL(readlinkat),
    CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid), CALL(ftruncate), CALL(fallocate),
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct sock_filter program[512];
static unsigned short length;

static void add(unsigned short code, unsigned int k, unsigned char yes, unsigned char no) {
  struct sock_filter instruction;
  instruction.code = code;
  instruction.jt = yes;
  instruction.jf = no;
  instruction.k = k;
  program[length++] = instruction;
}

static void answer(unsigned int with) { add(BPF_RET | BPF_K, with, 0, 0); }

static void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, (unsigned int)offset, 0, 0); }

static void unless(unsigned int value, unsigned char skip) { add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip); }

static int number_of(const char *name) {
  size_t i;
  for (i = 0; i < COUNT(allowed); i++) {
    if (strcmp(allowed[i].name, name) == 0) return allowed[i].number;
  }
  exit(124);
}

static void build_without(const char *name) {
  load(offsetof(struct seccomp_data, nr));
  unless((unsigned int)number_of(name), 1);
  answer(SECCOMP_RET_ERRNO | ENOSYS);
  answer(SECCOMP_RET_ALLOW);
}

static void build_accepting(void) {
  load(offsetof(struct seccomp_data, nr));
  unless(SYS_madvise, 5);
  load(offsetof(struct seccomp_data, args[2]));
  unless(WIPEONFORK, 1);
  answer(SECCOMP_RET_ERRNO | 0);
  unless((unsigned int)-1, 1);
  answer(SECCOMP_RET_ERRNO | 0);
  answer(SECCOMP_RET_ALLOW);
}

static void build(int old) {
  size_t i;
  load(offsetof(struct seccomp_data, nr));
  if (old) {
    for (i = 0; i < COUNT(newer); i++) {
      unless((unsigned int)newer[i], 1);
      answer(SECCOMP_RET_ERRNO | ENOSYS);
    }
    unless(SYS_madvise, 3);
    load(offsetof(struct seccomp_data, args[2]));
    unless(WIPEONFORK, 1);
    answer(SECCOMP_RET_ERRNO | EINVAL);
    answer(SECCOMP_RET_ALLOW);
  } else {
    for (i = 0; i < COUNT(allowed); i++) {
      unless((unsigned int)allowed[i].number, 1);
      answer(SECCOMP_RET_ALLOW);
    }
    answer(SECCOMP_RET_KILL_PROCESS);
  }
}

int main(int argc, char **argv) {
  struct sock_fprog filter;
  size_t i;
  if (argc == 2 && strcmp(argv[1], "list") == 0) {
    for (i = 0; i < COUNT(allowed); i++) puts(allowed[i].name);
    return EXIT_SUCCESS;
  }
  if (argc < 3) return 125;
  if (argc > 3 && strcmp(argv[1], "without") == 0) {
    build_without(argv[2]);
    argv++;
  } else if (strcmp(argv[1], "accepting") == 0) {
    build_accepting();
  } else {
    build(strcmp(argv[1], "old") == 0);
  }
  filter.len = length;
  filter.filter = program;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    perror("seccomp");
    return 126;
  }
  execv(argv[2], argv + 2);
  return 127;
}
