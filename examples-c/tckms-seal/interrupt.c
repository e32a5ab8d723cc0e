#define _XOPEN_SOURCE 700

#include "interrupt.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t recorded;

static void record(int number) { recorded = number; }

static void catch_unless_ignored(int number) {
  struct sigaction action;
  if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
    memset(&action, 0, sizeof action);
    action.sa_handler = record;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(number, &action, NULL);
  }
}

void interrupt_catch(void) {
  catch_unless_ignored(SIGINT);
  catch_unless_ignored(SIGTERM);
  catch_unless_ignored(SIGHUP);
  /* Without SIGXFSZ, write() fails with EFBIG, and the unfinished file is removed. */
  signal(SIGXFSZ, SIG_IGN);
}

int interrupt_signal(void) { return recorded; }

const char *interrupt_text(void) {
  switch (recorded) {
    case SIGINT:
      return "interrupted by SIGINT";
    case SIGTERM:
      return "interrupted by SIGTERM";
    default:
      return "interrupted by SIGHUP";
  }
}

void interrupt_pass_on(void) {
  if (recorded) {
    /* The handler was reset when the signal arrived. */
    raise(recorded);
  }
}
