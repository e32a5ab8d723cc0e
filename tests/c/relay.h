/* A relay between a client and the emulator, which can stop forwarding bytes, as a load balancer does after a failover. */
#ifndef RELAY_H
#define RELAY_H

#include "admin.h"
#include "server.h"

/* The behaviour of a connection of the relay. */
enum relay_fate {
  RELAY_PASSES,
  /* It stays open, and the relay discards all input. */
  RELAY_SWALLOWS,
  /* It is reset when the client sends data. */
  RELAY_RESETS_ON_DATA,
  /* It is closed at once. */
  RELAY_CLOSES,
  /* It is reset at once. */
  RELAY_RESETS
};

enum { RELAYED_MAX = 256 };

struct relayed {
  struct relay *relay;
  int client;
  int server;
  int fate;
  pthread_t thread;
};

struct relay {
  char endpoint[64];
  int listener;
  int stopping;
  pthread_t thread;
  int count;
  /* The behaviour of new connections. */
  int fate_of_new;
  struct relayed connections[RELAYED_MAX];
};

static inline int relay_load(const int *number) {
  return __atomic_load_n(number, __ATOMIC_ACQUIRE);
}

static inline void reset_on_close(int connection) {
  struct linger linger;
  linger.l_onoff = 1;
  linger.l_linger = 0;
  CHECK_INT(setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
}

/* Forwards available data. False at the end. */
static inline int relay_some(int from, int to) {
  char bytes[16384];
  ssize_t got = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR;
  }
  if (got > 0 && to >= 0) {
    send_all(to, bytes, (size_t)got);
  }
  return got > 0;
}

static inline void *relay_connection(void *argument) {
  struct relayed *relayed = argument;
  int ended = 0;
  while (!ended && !relay_load(&relayed->relay->stopping)) {
    struct pollfd sides[2];
    int fate;
    sides[0].fd = relayed->client;
    sides[1].fd = relayed->server;
    sides[0].events = sides[1].events = POLLIN;
    sides[0].revents = sides[1].revents = 0;
    poll(sides, 2, 10);
    fate = relay_load(&relayed->fate);
    if (fate == RELAY_CLOSES || fate == RELAY_RESETS) {
      break;
    }
    if (sides[0].revents != 0) {
      if (fate == RELAY_RESETS_ON_DATA) {
        break;
      }
      ended = !relay_some(relayed->client, fate == RELAY_PASSES ? relayed->server : -1);
    }
    if (!ended && sides[1].revents != 0) {
      ended = !relay_some(relayed->server, fate == RELAY_PASSES ? relayed->client : -1) && fate == RELAY_PASSES;
    }
  }
  if (relay_load(&relayed->fate) == RELAY_RESETS || relay_load(&relayed->fate) == RELAY_RESETS_ON_DATA) {
    reset_on_close(relayed->client);
  }
  close(relayed->client);
  close(relayed->server);
  return NULL;
}

static inline void *relay_accept(void *argument) {
  struct relay *relay = argument;
  for (;;) {
    struct relayed *relayed = &relay->connections[relay->count];
    int client = accept(relay->listener, NULL, NULL);
    if (client < 0) {
      return NULL;
    }
    CHECK(relay->count < RELAYED_MAX);
    relayed->relay = relay;
    relayed->client = client;
    relayed->server = admin_connection();
    relayed->fate = relay_load(&relay->fate_of_new);
    CHECK_INT(pthread_create(&relayed->thread, NULL, relay_connection, relayed), 0);
    __atomic_add_fetch(&relay->count, 1, __ATOMIC_RELEASE);
  }
}

static inline void relay_start(struct relay *relay) {
  memset(relay, 0, sizeof *relay);
  relay->listener = listening_socket(relay->endpoint, sizeof relay->endpoint);
  if (strncmp(GIVEN_ENDPOINT, "https", 5) == 0) {
    memmove(relay->endpoint + 5, relay->endpoint + 4, strlen(relay->endpoint + 4) + 1);
    relay->endpoint[4] = 's';
  }
  CHECK_INT(pthread_create(&relay->thread, NULL, relay_accept, relay), 0);
}

/* All existing connections get this behaviour; new ones are forwarded. */
static inline void relay_fail(struct relay *relay, enum relay_fate fate) {
  int i;
  for (i = 0; i < relay_load(&relay->count); i++) {
    __atomic_store_n(&relay->connections[i].fate, (int)fate, __ATOMIC_RELEASE);
  }
}

static inline void relay_stop(struct relay *relay) {
  int i;
  __atomic_store_n(&relay->stopping, 1, __ATOMIC_RELEASE);
  shutdown(relay->listener, SHUT_RDWR);
  CHECK_INT(pthread_join(relay->thread, NULL), 0);
  close(relay->listener);
  for (i = 0; i < relay->count; i++) {
    CHECK_INT(pthread_join(relay->connections[i].thread, NULL), 0);
  }
}

#endif /* RELAY_H */
