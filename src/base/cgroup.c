// SPDX-License-Identifier: MIT
// Which control groups this process is in. Must not know what is limited.
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/machine.h"

int ql_read_numbers(const char *folder, const char *name, uint64_t *numbers, int n)
{
    char path[PATH_MAX];
    FILE *file = snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path ? fopen(path, "re") : NULL;
    int got = 0;
    while (file && got < n && fscanf(file, "%" SCNu64, &numbers[got]) == 1)
        got++;
    if (file)
        fclose(file);
    return got;
}

// Whether name is among words separated by commas.
static bool has_word(const char *words, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = words; (at = strstr(at, name)); at++)
        if ((at == words || at[-1] == ',') && (!at[n] || at[n] == ','))
            return true;
    return false;
}

static void walk_up(const char *mount, const char *group, bool version_2, ql_cgroup_visit *visit, void *arg)
{
    char path[PATH_MAX];
    size_t top = strlen(mount);
    if (snprintf(path, sizeof path, "%s%s", mount, group) >= (int)sizeof path)
        return;
    for (size_t end = strlen(path); end >= top; end--)
        if (!path[end] || path[end] == '/') {
            path[end] = 0;
            visit(arg, path, version_2);
        }
}

// Version 1 has a folder for each list of controllers ("cpu,cpuacct"), and mostly links named by one ("cpu").
static void walk_version_1(const char *root, const char *controllers, const char *controller, const char *group,
                           ql_cgroup_visit *visit, void *arg)
{
    char mount[PATH_MAX];
    struct stat st;
    const char *names[] = {controller, controllers};
    for (int i = 0; i < 2; i++)
        if (snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, names[i]) < (int)sizeof mount && stat(mount, &st) == 0) {
            walk_up(mount, group, false, visit, arg);
            return;
        }
}

// Lines "number:controllers:/group"; of version 2 "0::/group". In a container the group may be named as the host sees it:
// then its folder is not there, and the root's is the one that counts.
void ql_cgroup_walk(const char *root, const char *controller, ql_cgroup_visit *visit, void *arg)
{
    char line[PATH_MAX], mount[PATH_MAX];
    snprintf(mount, sizeof mount, "%s/proc/self/cgroup", root);
    FILE *file = fopen(mount, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group || group[1] != '/')
            continue;
        *group++ = 0;
        controllers++;
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        if (!*controllers)
            walk_up(mount, group, true, visit, arg);
        else if (has_word(controllers, controller))
            walk_version_1(root, controllers, controller, group, visit, arg);
    }
    if (file)
        fclose(file);
}
