#define _XOPEN_SOURCE 700

#include "interrupt.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t noted;

static void note(int number) { noted = number; }

static void catch_unless_ignored(int number) {
  struct sigaction action;
  if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(number, &action, NULL);
  }
}

void interrupt_catch(void) {
  catch_unless_ignored(SIGINT);
  catch_unless_ignored(SIGTERM);
  catch_unless_ignored(SIGHUP);
  /* A file that may not grow any further is a failed write, EFBIG, after which the unfinished file is removed. */
  signal(SIGXFSZ, SIG_IGN);
}

int interrupt_signal(void) { return noted; }

const char *interrupt_text(void) {
  switch (noted) {
    case SIGINT:
      return "interrupted by SIGINT";
    case SIGTERM:
      return "interrupted by SIGTERM";
    default:
      return "interrupted by SIGHUP";
  }
}

void interrupt_pass_on(void) {
  if (noted) {
    /* The handler is gone since the signal came. */
    raise(noted);
  }
}
