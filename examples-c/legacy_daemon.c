/*
 * A classic Unix daemon that decrypts secrets for other programs on the machine.
 *
 *     legacy_daemon [-f] /etc/legacy_daemon.conf
 *
 * It detaches from its terminal (not with -f), keeps a pid file, logs to syslog, and serves a Unix socket from one
 * pselect() loop. A client connects, sends one line with a CiphertextBlob, and gets "OK <length>\n" followed by that
 * many bytes, or "ERR <status>\n". SIGHUP reloads the configuration, SIGTERM ends the daemon.
 *
 * A configuration:
 *
 *     # The CMK that the secrets must be encrypted under, and its region.
 *     region = ap-guangzhou
 *     key_id = 93866e69-9755-11ef-8e65-52540089bc41
 *     # The encryption context as JSON. Without this line there is none.
 *     context = {"program":"legacy_daemon"}
 *     # The credentials. Without these two lines they come from the default chain.
 *     secret_id = AKIDEXAMPLE
 *     secret_key = EXAMPLE
 *     # For another site or the emulator. Both are optional.
 *     endpoint = https://kms.tencentcloudapi.com
 *     ca_file = /etc/ssl/certs/ca-certificates.crt
 *     # Absolute paths, which are read only at the start.
 *     socket = /run/legacy_daemon.socket
 *     pid_file = /run/legacy_daemon.pid
 *
 * It shows how to use libtckms in a daemon:
 *
 * - The client is created before the process forks and closes all descriptors, and used afterwards.
 * - The library's log goes to syslog.
 * - A new client replaces the old one only if the new configuration is valid.
 * - The loop has one thread, and waits for a call no longer than the total timeout.
 */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <tckms.h>

enum { VALUE_MAX = 2048, CLIENTS_MAX = 32, LINE_MAX_LEN = TCKMS_CIPHERTEXT_BLOB_MAX + 2, TIMEOUT_MS = 5000 };

/* ---- Configuration ---- */

struct settings {
  char region[VALUE_MAX];
  char key_id[VALUE_MAX];
  char context[VALUE_MAX];
  char secret_id[VALUE_MAX];
  char secret_key[VALUE_MAX];
  char endpoint[VALUE_MAX];
  char ca_file[VALUE_MAX];
  char socket[VALUE_MAX];
  char pid_file[VALUE_MAX];
};

static char *value_of(struct settings *settings, const char *name) {
  if (strcmp(name, "region") == 0) return settings->region;
  if (strcmp(name, "key_id") == 0) return settings->key_id;
  if (strcmp(name, "context") == 0) return settings->context;
  if (strcmp(name, "secret_id") == 0) return settings->secret_id;
  if (strcmp(name, "secret_key") == 0) return settings->secret_key;
  if (strcmp(name, "endpoint") == 0) return settings->endpoint;
  if (strcmp(name, "ca_file") == 0) return settings->ca_file;
  if (strcmp(name, "socket") == 0) return settings->socket;
  if (strcmp(name, "pid_file") == 0) return settings->pid_file;
  return NULL;
}

static char *trimmed(char *text) {
  size_t len;
  text += strspn(text, " \t\r\n");
  len = strlen(text);
  while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
    text[--len] = '\0';
  }
  return text;
}

/* Before the daemon has detached, syslog() also prints on the terminal. */
static int read_settings(const char *path, struct settings *settings) {
  char line[VALUE_MAX + 64];
  int number = 0;
  int result = 0;
  FILE *file = fopen(path, "r");
  memset(settings, 0, sizeof *settings);
  if (file == NULL) {
    syslog(LOG_ERR, "%s: %s", path, strerror(errno));
    return -1;
  }
  while (result == 0 && fgets(line, sizeof line, file) != NULL) {
    char *name = trimmed(line);
    char *equals = strchr(name, '=');
    char *value = NULL;
    number++;
    if (*name == '\0' || *name == '#') {
      continue;
    }
    if (equals != NULL) {
      *equals = '\0';
      value = value_of(settings, trimmed(name));
    }
    if (value == NULL || strlen(trimmed(equals + 1)) >= VALUE_MAX) {
      syslog(LOG_ERR, "%s:%d: not a line of the form \"name = value\"", path, number);
      result = -1;
    } else {
      strcpy(value, trimmed(equals + 1));
    }
  }
  fclose(file);
  tckms_wipe(line, sizeof line);
  if (result == 0 && (*settings->key_id == '\0' || *settings->socket != '/' || *settings->pid_file != '/')) {
    syslog(LOG_ERR, "%s: key_id and absolute paths for socket and pid_file are required", path);
    result = -1;
  }
  return result;
}

/* ---- The client of the key service ---- */

static void log_line(void *userdata, const tckms_log_event *event) {
  (void)userdata;
  syslog(tckms_log_event_level(event) == TCKMS_LOG_ERROR ? LOG_ERR : LOG_WARNING, "%s", tckms_log_event_message(event));
}

static tckms_status configure(tckms_config *config, const struct settings *settings) {
  tckms_status status = tckms_config_set_region(config, settings->region);
  if (status == TCKMS_OK) {
    status = *settings->secret_id == '\0' && *settings->secret_key == '\0'
                 ? tckms_config_set_default_credentials(config)
                 : tckms_config_set_credentials(config, settings->secret_id, settings->secret_key, NULL);
  }
  if (status == TCKMS_OK && *settings->endpoint != '\0') {
    status = tckms_config_set_endpoint(config, settings->endpoint);
  }
  if (status == TCKMS_OK && *settings->ca_file != '\0') {
    status = tckms_config_set_ca_file(config, settings->ca_file);
  }
  /* While one client waits, all others wait too, so the timeout is short. */
  if (status == TCKMS_OK) {
    status = tckms_config_set_total_timeout_ms(config, TIMEOUT_MS);
  }
  if (status == TCKMS_OK) {
    status = tckms_config_set_log(config, TCKMS_LOG_WARN, log_line, NULL, NULL);
  }
  return status;
}

static tckms_client *new_client(const struct settings *settings) {
  tckms_client *client = NULL;
  tckms_config *config = tckms_config_new();
  if (configure(config, settings) != TCKMS_OK || tckms_client_new(config, &client) != TCKMS_OK) {
    syslog(LOG_ERR, "cannot create a client: %s", tckms_error_message(tckms_last_error()));
  }
  tckms_config_free(config);
  return client;
}

/* ---- Becoming a daemon ---- */

/* Returns in the daemon, with a descriptor on which to report that it is ready. The parent waits for that report. */
static int detach(void) {
  int report[2];
  long most = sysconf(_SC_OPEN_MAX);
  int fd;
  int null;
  pid_t child;
  if (pipe(report) != 0 || (child = fork()) < 0) {
    syslog(LOG_ERR, "cannot detach: %s", strerror(errno));
    exit(EXIT_FAILURE);
  }
  if (child > 0) {
    char ready = 0;
    close(report[1]);
    /* Without a report the daemon has ended; the reason is in the log. */
    exit(read(report[0], &ready, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  /* A new session; the second fork makes a process that does not lead it and so cannot get a terminal again. */
  if (setsid() < 0 || (child = fork()) < 0) {
    _exit(EXIT_FAILURE);
  }
  if (child > 0) {
    _exit(EXIT_SUCCESS);
  }
  closelog();
  /* If the caller had closed standard descriptors, the pipe may have their numbers, which are needed below. */
  if (report[1] < 3 && (report[1] = fcntl(report[1], F_DUPFD, 3)) < 0) {
    _exit(EXIT_FAILURE);
  }
  for (fd = 0; fd < (most > 0 && most < 65536 ? (int)most : 65536); fd++) {
    if (fd != report[1]) {
      close(fd);
    }
  }
  null = open("/dev/null", O_RDWR);
  if (chdir("/") != 0 || null != 0 || dup(null) != 1 || dup(null) != 2) {
    _exit(EXIT_FAILURE);
  }
  openlog("legacy_daemon", LOG_PID, LOG_DAEMON);
  return report[1];
}

/* The lock ends with the process, so a file left by a crash does not matter. */
static int write_pid_file(const char *path) {
  struct flock lock;
  char text[32];
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  memset(&lock, 0, sizeof lock);
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0) {
    syslog(LOG_ERR, "%s: %s", path, errno == EACCES || errno == EAGAIN ? "already running" : strerror(errno));
    return -1;
  }
  snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) != 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
    syslog(LOG_ERR, "%s: %s", path, strerror(errno));
    return -1;
  }
  return fd;
}

static int listen_on(const char *path) {
  struct sockaddr_un address;
  mode_t others;
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  int bound;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (fd < 0 || strlen(path) >= sizeof address.sun_path) {
    syslog(LOG_ERR, "%s: the path cannot be used for a socket", path);
    return -1;
  }
  strcpy(address.sun_path, path);
  /* The pid file is locked, so no other daemon uses the socket. */
  unlink(path);
  others = umask(0077);
  bound = bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(others);
  if (bound != 0 || listen(fd, 16) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
    syslog(LOG_ERR, "%s: %s", path, strerror(errno));
    return -1;
  }
  return fd;
}

/* ---- Serving ---- */

struct connection {
  int fd; /* -1 for none */
  size_t len;
  char line[LINE_MAX_LEN];
};

static struct connection connections[CLIENTS_MAX];

static void hang_up(struct connection *connection) {
  close(connection->fd);
  connection->fd = -1;
  connection->len = 0;
}

/* All replies fit into the buffer of a socket. MSG_NOSIGNAL: no SIGPIPE if the client has closed the connection. */
static void send_all(const struct connection *connection, const void *bytes, size_t len) {
  if (len > 0 && send(connection->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len) {
    syslog(LOG_NOTICE, "a client did not read its reply");
  }
}

static void answer(const struct connection *connection, const tckms_client *client, const struct settings *settings,
                   size_t blob_len) {
  tckms_buffer secret = TCKMS_BUFFER_INIT;
  char head[128];
  tckms_status status = tckms_decrypt(client, settings->key_id, connection->line, blob_len,
                                      *settings->context == '\0' ? NULL : settings->context, &secret);
  if (status == TCKMS_OK) {
    snprintf(head, sizeof head, "OK %lu\n", (unsigned long)secret.len);
  } else {
    syslog(LOG_WARNING, "%s", tckms_error_message(tckms_last_error()));
    snprintf(head, sizeof head, "ERR %s\n", tckms_status_name(status));
  }
  send_all(connection, head, strlen(head));
  send_all(connection, secret.data, secret.len);
  tckms_buffer_free(&secret);
}

static void read_from(struct connection *connection, const tckms_client *client, const struct settings *settings) {
  char *place = connection->line + connection->len;
  ssize_t got = recv(connection->fd, place, sizeof connection->line - connection->len, 0);
  char *end;
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    return;
  }
  if (got <= 0) {
    hang_up(connection);
    return;
  }
  connection->len += (size_t)got;
  end = memchr(place, '\n', (size_t)got);
  if (end != NULL) {
    answer(connection, client, settings, (size_t)(end - connection->line));
    hang_up(connection);
  } else if (connection->len == sizeof connection->line) {
    syslog(LOG_NOTICE, "a client sent a line that is too long");
    hang_up(connection);
  }
}

static void accept_from(int listener) {
  int fd = accept(listener, NULL, NULL);
  size_t i;
  for (i = 0; fd >= 0 && fd < FD_SETSIZE && i < CLIENTS_MAX; i++) {
    if (connections[i].fd < 0) {
      if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
        connections[i].fd = fd;
        return;
      }
      break;
    }
  }
  if (fd >= 0) {
    close(fd);
  }
}

/* ---- Signals: the handler sets a flag, and the loop acts on it ---- */

static volatile sig_atomic_t hung_up;
static volatile sig_atomic_t terminated;

static void note(int signal_number) {
  if (signal_number == SIGHUP) {
    hung_up = 1;
  } else {
    terminated = 1;
  }
}

/* Blocked except while pselect() waits, so that none arrives between the check of its flag and the wait. */
static void prepare_signals(sigset_t *while_waiting) {
  static const int signals[] = {SIGHUP, SIGTERM, SIGINT};
  struct sigaction action;
  sigset_t blocked;
  size_t i;
  memset(&action, 0, sizeof action);
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  sigemptyset(&blocked);
  for (i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    sigaction(signals[i], &action, NULL);
    sigaddset(&blocked, signals[i]);
  }
  sigprocmask(SIG_BLOCK, &blocked, while_waiting);
  for (i = 0; i < sizeof signals / sizeof signals[0]; i++) {
    sigdelset(while_waiting, signals[i]);
  }
}

/* Uses the new configuration if it is valid, else keeps the old one. */
static void reload(const char *path, struct settings *settings, tckms_client **client) {
  static struct settings fresh;
  tckms_client *fresh_client = read_settings(path, &fresh) == 0 ? new_client(&fresh) : NULL;
  if (fresh_client != NULL) {
    tckms_client_free(*client);
    *client = fresh_client;
    /* These two are already in use. */
    memcpy(fresh.socket, settings->socket, sizeof fresh.socket);
    memcpy(fresh.pid_file, settings->pid_file, sizeof fresh.pid_file);
    *settings = fresh;
    syslog(LOG_INFO, "using the new configuration");
  } else {
    syslog(LOG_ERR, "keeping the old configuration");
  }
  tckms_wipe(&fresh, sizeof fresh);
}

static void serve(int listener, const char *path, struct settings *settings, tckms_client **client,
                  const sigset_t *while_waiting) {
  while (!terminated) {
    fd_set readable;
    int most = listener;
    size_t i;
    if (hung_up) {
      hung_up = 0;
      reload(path, settings, client);
    }
    FD_ZERO(&readable);
    FD_SET(listener, &readable);
    for (i = 0; i < CLIENTS_MAX; i++) {
      if (connections[i].fd >= 0) {
        FD_SET(connections[i].fd, &readable);
        most = connections[i].fd > most ? connections[i].fd : most;
      }
    }
    if (pselect(most + 1, &readable, NULL, NULL, NULL, while_waiting) < 0) {
      if (errno != EINTR) {
        syslog(LOG_ERR, "pselect: %s", strerror(errno));
        return;
      }
      continue;
    }
    for (i = 0; i < CLIENTS_MAX; i++) {
      if (connections[i].fd >= 0 && FD_ISSET(connections[i].fd, &readable)) {
        read_from(&connections[i], *client, settings);
      }
    }
    if (FD_ISSET(listener, &readable)) {
      accept_from(listener);
    }
  }
}

int main(int argc, char **argv) {
  static struct settings settings;
  static char path[4096];
  int foreground = argc == 3 && strcmp(argv[1], "-f") == 0;
  sigset_t while_waiting;
  tckms_client *client;
  int report = -1;
  int pid_file;
  int listener;
  size_t i;

  if (argc != 2 + foreground) {
    fprintf(stderr, "usage: %s [-f] CONFIGURATION\n", argv[0]);
    return EXIT_FAILURE;
  }
  openlog("legacy_daemon", LOG_PID | LOG_PERROR, LOG_DAEMON);
  /* The daemon will be in another folder when it reads the file again. */
  if (strlen(argv[argc - 1]) >= sizeof path - 1 || argv[argc - 1][0] != '/') {
    syslog(LOG_ERR, "%s: not an absolute path", argv[argc - 1]);
    return EXIT_FAILURE;
  }
  strcpy(path, argv[argc - 1]);
  if (read_settings(path, &settings) != 0 || (client = new_client(&settings)) == NULL) {
    return EXIT_FAILURE;
  }
  if (!foreground) {
    report = detach();
  }
  prepare_signals(&while_waiting);
  for (i = 0; i < CLIENTS_MAX; i++) {
    connections[i].fd = -1;
  }
  if ((pid_file = write_pid_file(settings.pid_file)) < 0 || (listener = listen_on(settings.socket)) < 0) {
    tckms_client_free(client);
    return EXIT_FAILURE;
  }
  syslog(LOG_INFO, "serving %s", settings.socket);
  if (report >= 0) {
    if (write(report, "1", 1) != 1) {
      syslog(LOG_NOTICE, "the parent process is gone");
    }
    close(report);
  }

  serve(listener, path, &settings, &client, &while_waiting);

  for (i = 0; i < CLIENTS_MAX; i++) {
    if (connections[i].fd >= 0) {
      hang_up(&connections[i]);
    }
  }
  close(listener);
  unlink(settings.socket);
  unlink(settings.pid_file);
  close(pid_file);
  tckms_client_free(client);
  tckms_wipe(&settings, sizeof settings);
  syslog(LOG_INFO, "ended");
  closelog();
  return EXIT_SUCCESS;
}
