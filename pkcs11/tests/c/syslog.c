/*
 * A mistake in the configuration is a line in the machine's log. This program has a /dev and a log of its own: a mount namespace,
 * which takes root or user namespaces. It prints the line, or "not possible".
 */
#include "module.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(void) {
  struct sockaddr_un name = {AF_UNIX, "/dev/log"};
  struct timeval timeout = {5, 0};
  char line[2048];
  open_module();
  if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0 ||
      mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("none", "/dev", "tmpfs", 0, NULL) != 0) {
    puts("not possible");
    return 0;
  }
  /* Without anybody who listens nothing happens. */
  CHECK_INT(p11->C_Initialize(NULL), CKR_GENERAL_ERROR);
  int log = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK(log >= 0 && bind(log, (struct sockaddr *)&name, sizeof name) == 0);
  CHECK(setsockopt(log, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0);
  CHECK_INT(p11->C_Initialize(NULL), CKR_GENERAL_ERROR);
  ssize_t len = recv(log, line, sizeof line - 1, 0);
  CHECK(len > 0);
  line[len] = '\0';
  puts(line);
  /* One line and no more, and a log that is full does not stop the program. */
  CHECK(recv(log, line, sizeof line, MSG_DONTWAIT) == -1);
  for (int i = 0; i < 1000; i++) {
    CHECK_INT(p11->C_Initialize(NULL), CKR_GENERAL_ERROR);
  }
  return 0;
}
