#pragma once

/* Between the parts of the fake systemd. */

#include "fake/fake_systemd.h"

#define FAKE_JOB_PREFIX "/org/freedesktop/systemd1/job"

extern const sd_bus_vtable fake_unit_vtable[], fake_service_vtable[];

void fake_job_path(uint32_t job, char path[64]);
