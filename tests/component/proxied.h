#pragma once

/* A lobby behind a proxy, which the test plays: its listener has proxy_protocol. */

#include <stddef.h>
#include <stdint.h>

#include "lobby.h"

/* A header that names a client. */
#define LINE "PROXY TCP4 192.0.2.1 192.0.2.7 51000 7\r\n"

/* Listens on 127.0.0.1 and believes that address only. */
void proxied_open(struct lobby *lobby, uint64_t max_connections);

/* The same; somebody has come who says nothing yet. Returns the socket. */
int proxied_open_with_guest(struct lobby *lobby, uint64_t max_connections);

/* Turns until so many wait for their header. */
void proxied_await_guests(struct lobby *lobby, size_t n);

/* A connection that is open. */
int proxied_come_in(struct lobby *lobby);
