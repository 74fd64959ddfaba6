/*
 * The load: one thread, epoll and OpenSSL, so that whatever stands before it is the limit.
 *
 *   load CERT KEY CA
 *
 * Commands come as lines on stdin, answers go as lines to stdout:
 *
 *   open GROUP PORT COUNT PARALLEL MODE     MODE: plain | tls (ALPN http/1.1) | frames (ALPN hopgate-h1/1)
 *     hello CONN EXPORTER CERTIFICATE       frames: TLS is through; what follows is spoken by whoever reads us (load.ts)
 *     send CONN HEX  /  frame CONN HEX      to and from the peer, a whole frame each
 *     ready CONN                            the handshake is through
 *   opened GROUP                            all of them
 *   load GROUP MILLISECONDS PER_SECOND FILE one request under way on each connection; PER_SECOND 0: as fast as answers come
 *     odd GROUP STATUS HEX                  the first answer in this load that is no 200
 *   result {…}
 *   close GROUP  →  closed GROUP
 *
 * All faults end the process with a sentence on stderr: a benchmark that goes on after one is worth nothing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { GROUPS = 256, BUFFER = 65536, HISTOGRAM = 200000, SOURCES = 16 };
enum state { CONNECTING, SHAKING, FRAMES, READY, BUSY };
static const uint64_t NEVER = UINT64_MAX;
enum mode { PLAIN, TLS, WITH_FRAMES };

struct conn {
  int fd, id, group;
  enum state state;
  SSL *ssl;
  uint64_t sent_at, due;
  char *kept; /* a response or frame of which a part has come */
  size_t kept_length;
};

static struct {
  struct conn **conns;
  int count, opened, asked, in_flight, parallel, port;
  enum mode mode;
} groups[GROUPS];

static struct conn **all;
static int all_count, all_room;
static int epoll;
static SSL_CTX *contexts[3];
static struct sockaddr_in sources[SOURCES];

/* The load that is running. */
static struct {
  int group; /* -1: none */
  int busy, odd;
  uint64_t started, ends, first_odd_at, last_ok_sent_at;
  uint64_t responses, octets;
  double interval;
  char *request;
  size_t request_length;
  struct rusage usage;
} run = {.group = -1};
static uint32_t histogram[HISTOGRAM]; /* by microsecond; the last one is everything beyond */

static char octets[BUFFER];

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  ERR_print_errors_fp(stderr);
  exit(1);
}

static void *must(void *pointer) {
  if (pointer == NULL) fail("no memory");
  return pointer;
}

static void print_hex(const unsigned char *from, size_t length) {
  for (size_t at = 0; at < length; at++) printf("%02x", from[at]);
}

/* Reads what is there, 0 when nothing is. */
static int receive(struct conn *c, char *into, int room) {
  if (c->ssl == NULL) {
    ssize_t got = read(c->fd, into, (size_t)room);
    if (got > 0) return (int)got;
    if (got < 0 && errno == EAGAIN) return 0;
    fail("a connection ended");
  }
  int got = SSL_read(c->ssl, into, room);
  if (got > 0) return got;
  if (SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ) return 0;
  fail("a connection ended");
  return 0;
}

static void transmit(struct conn *c, const char *from, size_t length) {
  while (length > 0) {
    ssize_t sent = c->ssl == NULL ? write(c->fd, from, length) : SSL_write(c->ssl, from, (int)length);
    if (sent > 0) {
      from += sent;
      length -= (size_t)sent;
    } else if (c->ssl == NULL ? errno != EAGAIN : SSL_get_error(c->ssl, (int)sent) != SSL_ERROR_WANT_WRITE)
      fail("a connection can't be written to");
  }
}

static void keep(struct conn *c, const char *from, size_t length) {
  c->kept = must(realloc(c->kept, c->kept_length + length));
  memcpy(c->kept + c->kept_length, from, length);
  c->kept_length += length;
  if (c->kept_length > 4 * BUFFER) fail("a response without an end");
}

static void watch(struct conn *c, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.u32 = (uint32_t)c->id};
  if (epoll_ctl(epoll, operation, c->fd, &event) != 0) fail("epoll_ctl");
}

static void open_one(int group) {
  struct conn *c = must(calloc(1, sizeof *c));
  if (all_count == all_room) {
    all_room = all_room == 0 ? 1024 : all_room * 2;
    all = must(realloc(all, (size_t)all_room * sizeof *all));
  }
  c->id = all_count;
  all[all_count++] = c;
  c->group = group;
  groups[group].conns[groups[group].asked++] = c;
  groups[group].in_flight++;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) fail("socket");
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  /* Several source addresses: enough ports for many idle connections, and no one source's share. */
  if (bind(c->fd, (struct sockaddr *)&sources[c->id % SOURCES], sizeof sources[0]) != 0) fail("bind");
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)groups[group].port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) fail("connect");
  watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void opened(struct conn *c) {
  c->state = READY;
  groups[c->group].in_flight--;
  groups[c->group].opened++;
  if (groups[c->group].opened == groups[c->group].count) printf("opened %d\n", c->group);
  else if (groups[c->group].asked < groups[c->group].count) open_one(c->group);
}

static void shake(struct conn *c) {
  int done = SSL_connect(c->ssl);
  if (done != 1) {
    int why = SSL_get_error(c->ssl, done);
    if (why == SSL_ERROR_WANT_READ) watch(c, EPOLLIN, EPOLL_CTL_MOD);
    else if (why == SSL_ERROR_WANT_WRITE) watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    else fail("TLS");
    return;
  }
  watch(c, EPOLLIN, EPOLL_CTL_MOD);
  if (groups[c->group].mode == TLS) {
    opened(c);
    return;
  }
  unsigned char exporter[32], *der = NULL;
  const char label[] = "EXPORTER-Channel-Binding";
  if (SSL_export_keying_material(c->ssl, exporter, 32, label, strlen(label), NULL, 0, 1) != 1) fail("exporter");
  X509 *peer = SSL_get0_peer_certificate(c->ssl);
  int length = peer == NULL ? -1 : i2d_X509(peer, &der);
  if (length < 0) fail("no certificate");
  c->state = FRAMES;
  printf("hello %d ", c->id);
  print_hex(exporter, 32);
  putchar(' ');
  print_hex(der, (size_t)length);
  putchar('\n');
  OPENSSL_free(der);
}

static void ask(struct conn *c, uint64_t now) {
  c->state = BUSY;
  c->sent_at = now;
  transmit(c, run.request, run.request_length);
}

/* Octets of the response at `from`, 0 as long as it isn't whole. */
static size_t response_length(const char *from, size_t length) {
  const char *end = memmem(from, length, "\r\n\r\n", 4);
  if (end == NULL) return 0;
  size_t head = (size_t)(end - from) + 4;
  for (const char *line = from; line < end;) {
    line = (const char *)memchr(line, '\n', (size_t)(from + head - line)) + 1;
    if (strncasecmp(line, "content-length:", 15) == 0) {
      size_t whole = head + strtoul(line + 15, NULL, 10);
      return whole <= length ? whole : 0;
    }
  }
  fail("a response without Content-Length");
  return 0;
}

static void answered(struct conn *c, const char *response, size_t length) {
  uint64_t now = now_ns();
  uint64_t micros = (now - c->sent_at) / 1000;
  histogram[micros < HISTOGRAM ? micros : HISTOGRAM - 1]++;
  run.responses++;
  run.octets += length;
  if (memcmp(response + 9, "200", 3) == 0) {
    if (c->sent_at > run.last_ok_sent_at) run.last_ok_sent_at = c->sent_at;
  } else if (run.odd++ == 0) {
    run.first_odd_at = now;
    printf("odd %d %.3s ", c->group, response + 9);
    print_hex((const unsigned char *)response, length);
    putchar('\n');
    fflush(stdout);
  }
  c->kept_length = 0;
  c->state = READY;
  if (run.interval == 0) {
    if (now >= run.ends) run.busy--;
    else ask(c, now);
  } else
    c->due = c->due + (uint64_t)run.interval > now ? c->due + (uint64_t)run.interval : now;
}

static void on_response(struct conn *c) {
  int got = receive(c, octets, BUFFER);
  if (got == 0) return;
  const char *from = octets;
  size_t length = (size_t)got;
  if (c->kept_length > 0) {
    keep(c, octets, length);
    from = c->kept;
    length = c->kept_length;
  }
  size_t whole = response_length(from, length);
  if (whole == 0) {
    if (c->kept_length == 0) keep(c, octets, length);
  } else if (whole != length) {
    fail("more than was asked for");
  } else
    answered(c, from, whole);
}

static void on_frame(struct conn *c) {
  int got = receive(c, octets, BUFFER);
  if (got == 0) return;
  keep(c, octets, (size_t)got);
  const unsigned char *frame = (unsigned char *)c->kept;
  if (c->kept_length < 4) return;
  size_t whole = 4 + ((size_t)frame[1] << 16 | (size_t)frame[2] << 8 | frame[3]);
  if (c->kept_length < whole) return;
  printf("frame %d ", c->id);
  print_hex(frame, whole);
  putchar('\n');
  c->kept_length -= whole;
  if (c->kept_length > 0) fail("two frames at once");
}

static void on_event(struct conn *c) {
  if (c->state == CONNECTING) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      errno = error;
      fail("connect");
    }
    if (groups[c->group].mode == PLAIN) {
      watch(c, EPOLLIN, EPOLL_CTL_MOD);
      opened(c);
      return;
    }
    c->ssl = must(SSL_new(contexts[groups[c->group].mode]));
    SSL_set_fd(c->ssl, c->fd);
    c->state = SHAKING;
    shake(c);
  } else if (c->state == SHAKING)
    shake(c);
  else if (c->state == BUSY) {
    /* What OpenSSL has read ahead, epoll doesn't tell of. */
    do on_response(c);
    while (c->state == BUSY && c->ssl != NULL && SSL_has_pending(c->ssl));
  } else if (c->state == FRAMES)
    on_frame(c);
  else {
    /* Tickets of TLS 1.3, or the end of the connection. */
    int got = receive(c, octets, BUFFER);
    if (got == 0) return;
    fprintf(stderr, "%.*s\n", got, octets);
    fail("an answer to nothing");
  }
}

static uint64_t quantile(uint64_t total, double share) {
  uint64_t seen = 0;
  for (int at = 0; at < HISTOGRAM; at++) {
    seen += histogram[at];
    if ((double)seen >= (double)total * share) return (uint64_t)at;
  }
  return HISTOGRAM;
}

static double cpu_of(const struct rusage *u) {
  return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) + (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e6;
}

static void finish(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("result {\"responses\":%lu,\"odd\":%d,\"seconds\":%.6f,\"cpu\":%.6f,\"p50\":%lu,\"p99\":%lu,\"oddAfterMicros\":%.1f,"
         "\"okSentAfterOdd\":%s}\n",
         run.responses, run.odd, (double)(now_ns() - run.started) / 1e9, cpu_of(&usage) - cpu_of(&run.usage),
         quantile(run.responses, 0.5), quantile(run.responses, 0.99),
         run.odd == 0 ? -1.0 : (double)(run.first_odd_at - run.started) / 1e3,
         run.odd > 0 && run.last_ok_sent_at > run.first_odd_at ? "true" : "false");
  free(run.request);
  run.group = -1;
}

static void start(int group, int milliseconds, double per_second, const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail(path);
  memset(&run, 0, sizeof run);
  memset(histogram, 0, sizeof histogram);
  run.request = must(malloc(BUFFER));
  run.request_length = fread(run.request, 1, BUFFER, file);
  fclose(file);
  run.group = group;
  run.busy = groups[group].count;
  run.interval = per_second == 0 ? 0 : 1e9 * groups[group].count / per_second;
  getrusage(RUSAGE_SELF, &run.usage);
  run.started = now_ns();
  run.ends = run.started + (uint64_t)milliseconds * 1000000u;
  for (int at = 0; at < groups[group].count; at++) {
    struct conn *c = groups[group].conns[at];
    c->due = run.started + (uint64_t)(run.interval * at / groups[group].count);
    if (run.interval == 0) ask(c, run.started);
  }
}

/* Sends what is due; nanoseconds until the next is. */
static int64_t pace(void) {
  uint64_t now = now_ns();
  int64_t next = 100000000;
  for (int at = 0; at < groups[run.group].count; at++) {
    struct conn *c = groups[run.group].conns[at];
    if (c->state != READY || c->due == NEVER) continue;
    /* Each connection asks at least once, however late we are. */
    if (now >= run.ends && c->sent_at >= run.started) {
      c->due = NEVER;
      run.busy--;
    } else if (c->due <= now)
      ask(c, now);
    else if ((int64_t)(c->due - now) < next)
      next = (int64_t)(c->due - now);
  }
  return next;
}

static void close_group(int group) {
  for (int at = 0; at < groups[group].count; at++) {
    struct conn *c = groups[group].conns[at];
    SSL_free(c->ssl);
    close(c->fd);
    free(c->kept);
    all[c->id] = NULL;
    free(c);
  }
  free(groups[group].conns);
  memset(&groups[group], 0, sizeof groups[group]);
  printf("closed %d\n", group);
}

static void command(char *line) {
  char word[512], mode[16];
  int a, b, count, parallel, used = 0;
  double rate;
  if (sscanf(line, "open %d %d %d %d %15s", &a, &b, &count, &parallel, mode) == 5) {
    groups[a].count = count;
    groups[a].port = b;
    groups[a].mode = strcmp(mode, "plain") == 0 ? PLAIN : strcmp(mode, "tls") == 0 ? TLS : WITH_FRAMES;
    groups[a].conns = must(calloc((size_t)count, sizeof(struct conn *)));
    for (int at = 0; at < parallel && at < count; at++) open_one(a);
  } else if (sscanf(line, "send %d %n", &a, &used) == 1 && used > 0) {
    size_t length = 0;
    for (const char *hex = line + used; sscanf(hex, "%2hhx", (unsigned char *)&octets[length]) == 1; hex += 2) length++;
    transmit(all[a], octets, length);
  } else if (sscanf(line, "ready %d", &a) == 1)
    opened(all[a]);
  else if (sscanf(line, "load %d %d %lf %511s", &a, &b, &rate, word) == 4)
    start(a, b, rate, word);
  else if (sscanf(line, "close %d", &a) == 1)
    close_group(a);
  else {
    errno = EINVAL;
    fail(line);
  }
}

/* Lines from stdin; its end ends us. */
static void on_commands(void) {
  static char lines[BUFFER];
  static size_t length;
  ssize_t got = read(0, lines + length, sizeof lines - length - 1);
  if (got == 0) exit(0);
  if (got < 0) return;
  length += (size_t)got;
  char *from = lines;
  for (char *end; (end = memchr(from, '\n', length - (size_t)(from - lines))) != NULL; from = end + 1) {
    *end = 0;
    command(from);
  }
  length -= (size_t)(from - lines);
  memmove(lines, from, length);
}

static SSL_CTX *context(char **files, const char *alpn) {
  SSL_CTX *made = must(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION);
  SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(made, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_read_ahead(made, 1);
  SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_use_certificate_chain_file(made, files[1]) != 1 || SSL_CTX_use_PrivateKey_file(made, files[2], SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_load_verify_locations(made, files[3], NULL) != 1)
    fail("credentials");
  char protocol[64];
  int length = snprintf(protocol, sizeof protocol, "%c%s", (int)strlen(alpn), alpn);
  SSL_CTX_set_alpn_protos(made, (unsigned char *)protocol, (unsigned)length);
  return made;
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "load CERT KEY CA\n"), 2;
  contexts[TLS] = context(argv, "http/1.1");
  contexts[WITH_FRAMES] = context(argv, "hopgate-h1/1");
  for (int at = 0; at < SOURCES; at++) {
    sources[at].sin_family = AF_INET;
    sources[at].sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)at);
  }
  epoll = epoll_create1(0);
  fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
  struct epoll_event commands = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &commands) != 0) fail("stdin");
  for (;;) {
    int64_t wait = run.group >= 0 && run.interval > 0 ? pace() : 100000000;
    if (run.group >= 0 && run.busy == 0) finish();
    fflush(stdout);
    struct timespec timeout = {.tv_nsec = wait > 0 ? wait : 0};
    struct epoll_event events[256];
    int count = epoll_pwait2(epoll, events, 256, &timeout, NULL);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int at = 0; at < count; at++) {
      if (events[at].data.u32 == UINT32_MAX) on_commands();
      else if (all[events[at].data.u32] != NULL) on_event(all[events[at].data.u32]);
    }
  }
}
