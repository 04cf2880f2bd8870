/*
 * settings - lifetime and look-up of the validated configuration
 *
 * daemon/config makes a Settings, with n_ref 1 and every string and vector allocated; from then on it is read
 * only. An open incident keeps a reference to the one it was opened under, so a reload never pulls it away.
 * Half-built ones, as a failed load leaves them, are freed like whole ones. References are taken and dropped
 * in the loop's thread only. Test: tests/unit/test_settings.c.
 */
#include "model/settings.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static void probes_free(ProbeSettings *probes, size_t n)
{
        for (size_t i = 0; probes && i < n; i++) {
                free(probes[i].address);
                free(probes[i].path);
                strv_free(probes[i].command);
                strv_free(probes[i].submit);
                free(probes[i].arrives);
        }
        free(probes);
}

static void rules_free(RuleSettings *rules, size_t n)
{
        for (size_t i = 0; rules && i < n; i++) {
                free(rules[i].name);
                free(rules[i].path);
                free(rules[i].field);
                free(rules[i].equals);
                free(rules[i].match);
                free(rules[i].unless);
                strv_free(rules[i].captures);
        }
        free(rules);
}

static void causes_free(CauseSettings *causes, size_t n)
{
        for (size_t i = 0; causes && i < n; i++) {
                strv_free(causes[i].command);
                free(causes[i].match);
                free(causes[i].advice);
        }
        free(causes);
}

static void stores_free(StoreSettings *stores, size_t n)
{
        for (size_t i = 0; stores && i < n; i++) {
                StoreSettings *s = stores + i;

                free(s->name);
                strv_free(s->dirs);
                strv_free(s->exclude);
                free(s->layout.match);
                free(s->layout.last);
                free(s->hold);
                strv_free(s->rebuildable);
                for (size_t k = 0; s->rebuild && k < s->n_rebuild; k++) {
                        free(s->rebuild[k].path);
                        strv_free(s->rebuild[k].command);
                }
                free(s->rebuild);
                for (size_t k = 0; s->recreate && k < s->n_recreate; k++)
                        free(s->recreate[k].path);
                free(s->recreate);
                for (size_t k = 0; s->locks && k < s->n_locks; k++) {
                        free(s->locks[k].path);
                        free(s->locks[k].pid);
                }
                free(s->locks);
                strv_free(s->after_release);
                strv_free(s->native.hold);
                strv_free(s->native.release);
                strv_free(s->native.remove);
                strv_free(s->native.dirs);
        }
        free(stores);
}

static void service_settings_deinit(ServiceSettings *s)
{
        free(s->name);
        strv_free(s->units);
        strv_free(s->command);
        free(s->user);
        free(s->directory);
        strv_free(s->environment);
        strv_free(s->start);
        strv_free(s->stop);
        strv_free(s->status);
        free(s->pidfile);
        for (size_t i = 0; s->leftovers && i < s->n_leftovers; i++)
                free(s->leftovers[i].exe);
        free(s->leftovers);
        strv_free(s->depends_on);
        probes_free(s->probes, s->n_probes);
        strv_free(s->stall.ignore);
        free(s->crash_windows);
        rules_free(s->rules, s->n_rules);
        causes_free(s->causes, s->n_causes);
        stores_free(s->stores, s->n_stores);
}

Settings *settings_ref(Settings *s)
{
        if (s)
                s->n_ref++;
        return s;
}

Settings *settings_unref(Settings *s)
{
        if (!s)
                return NULL;
        /* One that was never counted is freed as well: its maker failed half-way. */
        if (s->n_ref > 1) {
                s->n_ref--;
                return NULL;
        }
        for (size_t i = 0; s->services && i < s->n_services; i++)
                service_settings_deinit(s->services + i);
        free(s->services);
        free(s->path);
        free(s->state_dir);
        free(s->run_dir);
        free(s->audit_path);
        free(s->control_group);
        free(s);
        return NULL;
}

const ServiceSettings *settings_find(const Settings *s, const char *service)
{
        if (!s || !service)
                return NULL;
        for (size_t i = 0; i < s->n_services; i++)
                if (s->services[i].name && strcmp(s->services[i].name, service) == 0)
                        return s->services + i;
        return NULL;
}

bool settings_has_rules(const ServiceSettings *s, RuleSource source)
{
        for (size_t i = 0; i < s->n_rules; i++)
                if (s->rules[i].source == source)
                        return true;
        return false;
}
