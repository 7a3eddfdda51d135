#pragma once

/*
 * What systemd is told, sd_notify(3). Without NOTIFY_SOCKET in the environment, or built without
 * libsystemd, nothing is told to anybody. Failures are ignored, as sd_notify(3) advises.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/* "+systemd" or "-systemd", for -V. */
const char *service_manager_feature(void);

/* Whether anybody listens. */
bool service_manager_is_there(void);

/* Start-up, or a reload, is complete. */
void service_manager_ready(void);

/* A reload begins. */
void service_manager_reloading(void);

/* The drain begins. */
void service_manager_stopping(void);

/* The watchdog's interval, sd_watchdog_enabled(3), at least 2; 0: there is none. */
uint64_t service_manager_watchdog_ms(void);

/* Feeds the watchdog. */
void service_manager_alive(void);

/* One line for systemctl status. */
void service_manager_status(const char *format, ...) FORMAT_PRINTF(1, 2);
