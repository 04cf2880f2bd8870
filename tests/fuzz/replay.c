/*
 * replay - a fuzz target over files: each corpus is a plain test
 *
 *      replay-NAME FILE-OR-DIRECTORY...
 *
 * Runs the target on each file, and on each file cut short at every length up to CUT_MAX: what a parser does
 * with the first half of something good. Prints how many inputs ran.
 */
#include "fuzz.h"

#include <dirent.h>

#define INPUT_MAX (1 << 20)
#define CUT_MAX   600

static unsigned long executed;

static void run_file(const char *path)
{
        static uint8_t buffer[INPUT_MAX];
        FILE *f = fopen(path, "re");
        size_t len;

        if (!f) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                exit(1);
        }
        len = fread(buffer, 1, sizeof(buffer), f);
        fclose(f);
        for (size_t cut = 0; cut <= len; cut = cut < CUT_MAX || cut == len ? cut + 1 : len) {
                /* A copy that ends where the input ends. */
                uint8_t *copy = malloc(cut ? cut : 1);

                assert(copy);
                memcpy(copy, buffer, cut);
                (void)LLVMFuzzerTestOneInput(copy, cut);
                free(copy);
                executed++;
        }
}

static void run_directory(const char *path)
{
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort);

        if (n < 0) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                exit(1);
        }
        for (int i = 0; i < n; i++) {
                char file[4096];

                if (entries[i]->d_name[0] != '.' &&
                    snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name) < (int)sizeof(file))
                        run_file(file);
                free(entries[i]);
        }
        free(entries);
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                struct stat st;

                if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
                        run_directory(argv[i]);
                else
                        run_file(argv[i]);
        }
        printf("%lu inputs\n", executed);
        return executed > 0 ? 0 : 1;
}
