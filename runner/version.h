#pragma once

#define RUNNER_VERSION "0.2.0"
#define PLAN_SCHEMA 1

/** Exit statuses. What went wrong is in the `error` event; the status is for a host that could not read it. */
enum exit_status {
  STATUS_OK = 0,
  STATUS_USAGE = 2,
  STATUS_PLAN = 3,
  STATUS_FAILED = 4,
  STATUS_INTERRUPTED = 5,
  STATUS_EVENTS = 6,
  STATUS_DISK_FULL = 7,
};
