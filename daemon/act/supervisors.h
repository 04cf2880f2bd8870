#pragma once

/*
 * Supervisors: does somebody else start and stop this service as well? Two that both act on one service undo
 * each other's work, so `act` is refused until the configuration says sole_supervisor = true. From a worker
 * thread: it reads other programs' configurations.
 */

#include "model/settings.h"

#define SUPERVISORS_E_FOUND 1

/*
 * A supervisor counts if its process runs and a file of its configuration names the service, or one of its
 * units without suffix and instance. @procfd is an open /proc, @root "/" (tests give others). Return: 0,
 * SUPERVISORS_E_FOUND with *@ret_detail (caller frees), or a negated errno.
 */
int supervisors_find(int procfd, const char *root, char *const *names, char **ret_detail);
/* The words by which a configuration would name @service. NULL on ENOMEM; strv_free(). */
char **supervisors_names(const ServiceSettings *service);
