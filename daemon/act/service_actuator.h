#pragma once

/*
 * The real actuator, and the shipped null one.
 *
 * service_actuator puts manager (processes), spool (messages), evidence and cause checks together behind the
 * Actuator port. What may wait for a disk or a stuck process runs in workers. Before anything is moved it
 * waits for strangers that hold a file of a store, and names them if they stay.
 *
 * null_actuator is `mode = "observe"`: it reads as the real one does, and answers RESULT_OBSERVED to
 * everything that would change the world.
 */

#include "act/actuator.h"
#include "act/manager.h"
#include "act/spool.h"
#include "model/canary.h"

typedef struct ServiceActuatorConfig {
        sd_event *event;
        const ServiceSettings *service;
        Manager *manager; /* taken: freed with the actuator */
        Runner *runner;   /* borrowed, like all that follows */
        Worker *spool_worker;
        Worker *proc_worker;
        Disk *disk;
        const CanaryKey *canary_key; /* or NULL: no canaries are sent on this host */
} ServiceActuatorConfig;

/* The workers must be freed before the actuator. Return: 0 or a negated errno (then the manager stays the
 * caller's). */
int service_actuator_new(Actuator **ret, const ServiceActuatorConfig *config);
/* Takes @real. Return: 0 or -ENOMEM (then it stays the caller's). */
int null_actuator_new(Actuator **ret, Actuator *real);
