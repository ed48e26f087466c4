/*
 * The floor: what the kernel alone takes for one write per message and member.
 * One thread, one epoll, no protocol but the frames, one room that everybody is
 * in. Every frame a client sends goes to all, each with a write of its own, as a
 * server does that batches nothing.
 *
 * It answers the handshake with the constant that belongs to the constant key
 * of our load generator and closes whoever does not read. Not a server to use.
 *
 * usage: epoll-writer <port>
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 65536
#define EVENTS_MAX 1024
#define READ_BYTES 65536
#define QUEUED_BYTES_MAX (8 << 20)
#define HEADER_BYTES_MAX 10

static const char RESPONSE[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct connection {
  int fd, open, place;
  uint8_t *in;
  size_t in_length, in_size;
  uint8_t *out; /* what the kernel did not take */
  size_t out_length;
};

static struct connection connections[CONNECTIONS_MAX]; /* by file descriptor */
static int members[CONNECTIONS_MAX];                   /* file descriptors of those who upgraded */
static int member_count;
static int epoll;

static void watch(int fd, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(epoll, operation, fd, &event);
}

static void leave(struct connection *c) {
  if (c->open) {
    int last = members[--member_count];
    members[c->place] = last;
    connections[last].place = c->place;
  }
  close(c->fd);
  free(c->in);
  free(c->out);
  memset(c, 0, sizeof *c);
  c->fd = -1;
}

/* 0 where the connection is of no use any more; the caller drops it. */
static int queue(struct connection *c, const uint8_t *bytes, size_t length) {
  if (c->out_length + length > QUEUED_BYTES_MAX) return 0;
  uint8_t *grown = realloc(c->out, c->out_length + length);
  if (!grown) return 0;
  memcpy(grown + c->out_length, bytes, length);
  c->out = grown;
  c->out_length += length;
  watch(c->fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  return 1;
}

static int put(struct connection *c, const uint8_t *bytes, size_t length) {
  if (c->out_length > 0) return queue(c, bytes, length);
  ssize_t wrote = write(c->fd, bytes, length);
  if (wrote == (ssize_t)length) return 1;
  if (wrote < 0 && errno != EAGAIN) return 0;
  size_t done = wrote > 0 ? (size_t)wrote : 0;
  return queue(c, bytes + done, length - done);
}

static void flush(struct connection *c) {
  ssize_t wrote = write(c->fd, c->out, c->out_length);
  if (wrote < 0) {
    if (errno != EAGAIN) leave(c);
    return;
  }
  memmove(c->out, c->out + wrote, c->out_length - (size_t)wrote);
  c->out_length -= (size_t)wrote;
  if (c->out_length > 0) return;
  free(c->out);
  c->out = NULL;
  watch(c->fd, EPOLL_CTL_MOD, EPOLLIN);
}

static void broadcast(const uint8_t *payload, size_t length, uint8_t opcode) {
  uint8_t frame[HEADER_BYTES_MAX + READ_BYTES];
  size_t header = length < 126 ? 2 : 4;
  frame[0] = 0x80 | opcode;
  frame[1] = header == 2 ? (uint8_t)length : 126;
  if (header == 4) {
    frame[2] = (uint8_t)(length >> 8);
    frame[3] = (uint8_t)length;
  }
  memcpy(frame + header, payload, length);
  for (int n = 0; n < member_count; n++) {
    struct connection *c = &connections[members[n]];
    if (!put(c, frame, header + length)) {
      leave(c);
      n--; /* the last member took its place */
    }
  }
}

/* Handles one frame at the front of the input. Its length, 0 if it is not whole yet, -1 to drop the connection. */
static ssize_t one_frame(struct connection *c, uint8_t *at, size_t length) {
  if (length < 6) return 0;
  size_t size = at[1] & 0x7f, header = 6;
  if (size == 127) return -1;
  if (size == 126) {
    if (length < 8) return 0;
    size = (size_t)at[2] << 8 | at[3];
    header = 8;
  }
  if (size > READ_BYTES - HEADER_BYTES_MAX) return -1;
  if (length < header + size) return 0;
  uint8_t opcode = at[0] & 0x0f, *mask = at + header - 4, *payload = at + header;
  for (size_t n = 0; n < size; n++) payload[n] ^= mask[n & 3];
  if (opcode == 8) return -1;
  if (opcode == 1 || opcode == 2) {
    int fd = c->fd;
    broadcast(payload, size, opcode);
    if (connections[fd].fd != fd || !connections[fd].open) return -2; /* dropped by its own broadcast */
  }
  return (ssize_t)(header + size);
}

static void handle(struct connection *c) {
  if (c->in_size - c->in_length < READ_BYTES) {
    c->in_size = c->in_length + READ_BYTES;
    uint8_t *grown = realloc(c->in, c->in_size);
    if (!grown) return leave(c);
    c->in = grown;
  }
  ssize_t got = read(c->fd, c->in + c->in_length, c->in_size - c->in_length);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return leave(c);
  c->in_length += (size_t)got;
  size_t at = 0;
  if (!c->open) {
    uint8_t *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
    if (!end) return;
    at = (size_t)(end - c->in) + 4;
    c->open = 1;
    c->place = member_count;
    members[member_count++] = c->fd;
    if (!put(c, (const uint8_t *)RESPONSE, sizeof RESPONSE - 1)) return leave(c);
  }
  while (at < c->in_length) {
    ssize_t taken = one_frame(c, c->in + at, c->in_length - at);
    if (taken == -2) return;
    if (taken < 0) return leave(c);
    if (taken == 0) break;
    at += (size_t)taken;
  }
  memmove(c->in, c->in + at, c->in_length - at);
  c->in_length -= at;
  if (c->in_length == 0) { /* an idle connection costs no buffer */
    free(c->in);
    c->in = NULL;
    c->in_size = 0;
  }
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0) return;
    if (fd >= CONNECTIONS_MAX) {
      close(fd);
      continue;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections[fd] = (struct connection){.fd = fd};
    watch(fd, EPOLL_CTL_ADD, EPOLLIN);
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  address.sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "0"));
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0) {
    perror("epoll-writer");
    return 1;
  }
  epoll = epoll_create1(0);
  watch(listener, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
    for (int n = 0; n < count; n++) {
      int fd = events[n].data.fd;
      if (fd == listener) {
        accept_all(listener);
        continue;
      }
      struct connection *c = &connections[fd];
      if (c->fd == fd && (events[n].events & EPOLLOUT)) flush(c);
      if (c->fd == fd && (events[n].events & ~(uint32_t)EPOLLOUT)) handle(c);
    }
  }
}
