#pragma once

#include <stdbool.h>

/** The plan's marker: a GPIO's value or a LED's brightness, which a power meter outside the board sees. */

/** Opens it once; false with errno set. It must exist: a misspelt path is not made. */
bool marker_open(const char *path);
/** Writes 1 or 0; true where no marker is open. One system call, so that its edge is close to what it marks. */
bool marker_set(bool on);
