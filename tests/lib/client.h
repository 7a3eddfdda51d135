#pragma once

/*
 * A client of an echo server: blocking sockets with a limit on patience. What goes wrong in here
 * fails the running Criterion test with a message.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* What a literal address, IPv4 or IPv6, is to the kernel; returns its length. */
socklen_t client_sockaddr(struct sockaddr_storage *ret_address, const char *literal, uint16_t port);

/* Connects to 127.0.0.1. */
int client_connect(uint16_t port);

/* The same, and sees that it is served. */
int client_enter(uint16_t port);

/* Connects to a literal address, IPv4 or IPv6. */
int client_connect_to(const char *address, uint16_t port);

/* Connects to 127.0.0.1 from another loopback address, or to ::1 from any that this machine has. */
int client_connect_from(const char *source, uint16_t port);

int client_connect_unix(const char *path);

/* A small receive buffer, set before connecting, so that the window fills up soon. */
int client_connect_with_buffer(uint16_t port, int receive_bytes);

void client_send(int socket, const void *bytes, size_t length);

/* Receives exactly so many bytes. */
void client_receive(int socket, void *bytes, size_t length);

/* Sends a text and expects it back. */
void client_echo(int socket, const char *text);

/* Expects the end of the stream, and nothing before it. */
void client_expect_eof(int socket);

/* Expects ECONNRESET; bytes before it are dropped. */
void client_expect_reset(int socket);

/* Whether there is something to read (or the end, or an error) within so many milliseconds. */
bool client_is_readable(int socket, int ms);

void client_half_close(int socket);

/* Closes with a reset. */
void client_abort(int socket);

/* The byte at an offset of the stream that client_exchange() sends. */
uint8_t client_pattern(uint64_t offset);

/*
 * Sends so many bytes of the pattern while reading and comparing what comes back; half-closes
 * after the last; expects exactly those bytes and the end. `chunk`: bytes a write.
 */
void client_exchange(int socket, uint64_t length, size_t chunk);

/* Sends the pattern without reading until nothing more is taken for `quiet_ms`; returns bytes sent.
 */
uint64_t client_fill(int socket, int quiet_ms);

/* Receives and compares bytes of the pattern from `offset` on. */
void client_receive_pattern(int socket, uint64_t offset, uint64_t length);
