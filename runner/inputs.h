#pragma once

#include <stdbool.h>

#include "session.h"

/** Prepares a session's inputs once: closes open dimensions, then reads tensor files or fills from the seed. */
bool inputs_bind(struct session *session);

/** Opens a file that must hold exactly `bytes` bytes; -1 after an error event. */
int input_open(const struct session *session, const char *path, uint64_t bytes);
/** Reads exactly `bytes` from where the file stands. */
bool input_read(const struct session *session, int fd, const char *path, void *to, size_t bytes);
