/* The agent behind every proxy: answers each request with the same octets, as cheaply as can be. Prints its port. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILES = 65536, BUFFER = 65536 };

static const char RESPONSE[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello";

/* How many octets of "\r\n\r\n" the requests of a connection end with so far. */
static unsigned char matched[FILES];

static void answer(int fd) {
  static char octets[BUFFER];
  ssize_t got = read(fd, octets, BUFFER);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) close(fd);
    return;
  }
  /* Nothing is pipelined and no request has a body: a head ends where the octets end. */
  unsigned char match = matched[fd];
  for (ssize_t at = got > 4 ? got - 4 : 0; at < got; at++) {
    if (got > 4 && at == got - 4) match = 0;
    match = octets[at] == "\r\n\r\n"[match] ? match + 1 : octets[at] == '\r' ? 1 : 0;
  }
  matched[fd] = match == 4 ? 0 : match;
  if (match == 4 && write(fd, RESPONSE, sizeof RESPONSE - 1) < 0) close(fd);
}

int main(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 4096) != 0) return 1;
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int count = epoll_wait(epoll, events, 256, -1);
    for (int at = 0; at < count; at++) {
      int fd = events[at].data.fd;
      if (fd != listener) {
        answer(fd);
        continue;
      }
      for (int got; (got = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (got >= FILES) exit(1);
        matched[got] = 0;
        setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        event = (struct epoll_event){.events = EPOLLIN, .data.fd = got};
        epoll_ctl(epoll, EPOLL_CTL_ADD, got, &event);
      }
    }
  }
}
