/*
 * spool_survey - what an inventory saw, for as long as nothing has changed since
 *
 * A directory that gains or loses a name has another modification time. So the folders of a side, with their
 * inodes and times, tell in a few calls whether a million messages are still where the last inventory saw
 * them: the next inventory leaves out a side that has not changed, and a whole store is set aside without
 * being read again.
 *
 * A clock that ticks some hundred times a second cannot tell two changes in one tick apart: a time that was
 * young when the folder was read is never trusted. What does not fit in any way is read again; a survey only
 * ever saves work. Test: tests/unit/test_spool_survey.c.
 */
#include "act/spool_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Longer than any tick of the clock that file systems look at. */
#define YOUNG_NSEC INT64_C(50000000)

void survey_deinit(SpoolSurvey *v)
{
        spool_list_deinit(&v->list);
        free(v->stamps);
        free(v->incident);
        *v = (SpoolSurvey){};
}

/* @v without @side, in memory of its own. */
static int survey_copy(const SpoolSurvey *v, SpoolSide side, SpoolSurvey *ret)
{
        for (size_t i = 0; i < v->list.n_folders; i++) {
                const SpoolItem *f = v->list.folders + i;
                const char *path = spool_list_path(&v->list, f);
                const SpoolStamp *stamp = v->stamps + i;
                int r;

                if (f->side == side)
                        continue;
                r = survey_add(ret, f, path, strlen(path), NULL, NULL);
                if (r < 0)
                        return err_trace(r);
                ret->stamps[ret->list.n_folders - 1] = *stamp;
        }
        for (size_t k = 0; v->list.tally && k < v->n_dirs * _SIDE_MAX; k++)
                if (k % _SIDE_MAX != side)
                        ret->list.tally[k] = v->list.tally[k];
        return 0;
}

int survey_begin(SpoolSurvey *v, size_t n_dirs, SpoolSide side)
{
        SpoolSurvey fresh = { .n_dirs = n_dirs };
        int r;

        fresh.list.tally = calloc(n_dirs * _SIDE_MAX, sizeof(fresh.list.tally[0]));
        r = fresh.list.tally ? survey_copy(v, side, &fresh) : err_origin(-ENOMEM);
        if (r < 0) {
                survey_deinit(&fresh);
                return err_trace(r);
        }
        /* Whose it was is told anew when the inventory has ended. */
        survey_deinit(v);
        *v = fresh;
        return 0;
}

bool spool_is_young(const struct timespec *mtime, const struct timespec *now)
{
        return (now->tv_sec - mtime->tv_sec) * INT64_C(1000000000) + now->tv_nsec - mtime->tv_nsec <
               YOUNG_NSEC;
}

int survey_add(SpoolSurvey *v, const SpoolItem *folder, const char *path, size_t len, const struct stat *st,
               const struct timespec *now)
{
        size_t n = v->list.n_folders;
        int r;

        if (n >= v->allocated) {
                size_t more = v->allocated > 0 ? v->allocated * 2 : 64;
                SpoolStamp *bigger = reallocarray(v->stamps, more, sizeof(bigger[0]));

                if (!bigger)
                        return err_origin(-ENOMEM);
                v->stamps = bigger;
                v->allocated = more;
        }
        r = spool_list_add_folder(&v->list, folder, path, len);
        if (r < 0)
                return err_trace(r);
        v->stamps[n] = (SpoolStamp){};
        if (st)
                v->stamps[n] = (SpoolStamp){ .inode = st->st_ino,
                                             .mtime = st->st_mtim,
                                             .trusted = !spool_is_young(&st->st_mtim, now) };
        return 0;
}

static bool stamp_holds(const SpoolStamp *stamp, int root, const char *path)
{
        struct stat st;

        return stamp->trusted && fstatat(root, path, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) == 0 &&
               st.st_ino == stamp->inode && st.st_mtim.tv_sec == stamp->mtime.tv_sec &&
               st.st_mtim.tv_nsec == stamp->mtime.tv_nsec;
}

bool survey_holds(const SpoolSurvey *v, const SpoolTrees *t, SpoolSide side)
{
        size_t there = 0, tops = 0;

        if (v->n_dirs != t->n)
                return false;
        for (size_t d = 0; d < t->n; d++)
                there += t->trees[d].root[side] >= 0;
        for (size_t i = 0; i < v->list.n_folders; i++) {
                const SpoolItem *f = v->list.folders + i;
                const char *path = spool_list_path(&v->list, f);
                int root = t->trees[f->dir].root[side];

                if (f->side != side)
                        continue;
                if (root < 0 || !stamp_holds(v->stamps + i, root, path))
                        return false;
                tops += !*path;
        }
        return tops == there;
}

void survey_exchanged(SpoolSurvey *v, size_t d)
{
        /* What has come to the store's side is a clone, or is about to be given to a server. */
        for (size_t i = 0; i < v->list.n_folders; i++)
                if (v->list.folders[i].dir == d && v->list.folders[i].side == SIDE_STORE)
                        v->stamps[i].trusted = false;
}
