/*
 * rapl.c - see rapl.h. Counters wrap at max_energy_range_uj, which at 100 W takes minutes or hours;
 * they are read at least each 100 ms while energy is measured.
 */
#include "rapl.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The first line of dir/name/leaf without its end; false when it cannot be read, errno says why. */
static bool read_line(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "r");
    const bool read = f != NULL && fgets(line, size, f) != NULL;
    const int reason = errno;
    if (f != NULL) {
        fclose(f);
    }
    errno = reason;
    if (read) {
        line[strcspn(line, "\n")] = '\0';
    }
    return read;
}

static bool read_number(const char *path, uint64_t *value)
{
    char line[40], extra;
    unsigned long long v;
    if (!read_line(path, line, sizeof line)) {
        return false;
    }
    errno = EINVAL;
    if (sscanf(line, "%llu%c", &v, &extra) != 1) {
        return false;
    }
    *value = v;
    return true;
}

/* The name of zone `dir` of root is `name`, or begins with it where it ends in '-'. */
static bool is_called(const char *root, const char *dir, const char *name)
{
    char path[RAPL_PATH], line[64];
    const size_t n = strlen(name);
    snprintf(path, sizeof path, "%s/%s/name", root, dir);
    if (!read_line(path, line, sizeof line)) {
        return false;
    }
    return name[n - 1] == '-' ? strncmp(line, name, n) == 0 : strcmp(line, name) == 0;
}

/* "intel-rapl:0" for a package, "intel-rapl:0:2" for the memory of one. */
static bool is_wanted(const char *root, const char *dir)
{
    const char *const prefix = "intel-rapl:";
    if (strncmp(dir, prefix, strlen(prefix)) != 0) {
        return false;
    }
    const char *colon = strchr(dir + strlen(prefix), ':');
    if (colon == NULL) {
        return is_called(root, dir, "package-");
    }
    char parent[64];
    snprintf(parent, sizeof parent, "%.*s", (int)(colon - dir), dir);
    return is_called(root, dir, "dram") && is_called(root, parent, "package-");
}

static bool unreadable(const char *path, const char *root, char *why, size_t why_size)
{
    const bool forbidden = errno == EACCES || errno == EPERM;
    char reason[128];
    snprintf(why, why_size, "%s: %s; %s%s%s", path, strerror_r(errno, reason, sizeof reason),
             forbidden ? "sudo chmod a+r " : "is the driver still loaded? sudo modprobe ",
             forbidden ? root : "intel_rapl_msr", forbidden ? "/intel-rapl:*/energy_uj" : "");
    return false;
}

static bool add_zone(struct rapl *r, const char *root, const char *dir, char *why, size_t why_size)
{
    struct rapl_zone *z = &r->zone[r->n];
    char range[RAPL_PATH];
    snprintf(z->path, sizeof z->path, "%s/%s/energy_uj", root, dir);
    snprintf(range, sizeof range, "%s/%s/max_energy_range_uj", root, dir);
    if (!read_number(z->path, &z->last)) {
        return unreadable(z->path, root, why, why_size);
    }
    if (!read_number(range, &z->range)) {
        return unreadable(range, root, why, why_size);
    }
    r->n++;
    return true;
}

static void no_counters(const char *root, char *why, size_t why_size)
{
    snprintf(why, why_size,
             "no CPU package has an energy counter in %s: a virtual machine's host keeps them, a "
             "kernel without the driver lacks them; on the machine itself: sudo modprobe "
             "intel_rapl_msr && sudo chmod a+r %s/intel-rapl:*/energy_uj",
             root, root);
}

bool rapl_open(struct rapl *r, const char *root, char *why, size_t why_size)
{
    char **names = NULL;
    int n = 0;
    bool good = true;
    *r = (struct rapl){0};
    if (strlen(root) > 200 || file_list(root, &names, &n, NULL) != VOV_OK) {
        no_counters(root, why, why_size);
        return false;
    }
    for (int i = 0; i < n && good && r->n < RAPL_MAX_ZONES; i++) {
        if (strlen(names[i]) < 60 && is_wanted(root, names[i])) {
            good = add_zone(r, root, names[i], why, why_size);
        }
    }
    file_list_free(names, n);
    if (good && r->n == 0) {
        no_counters(root, why, why_size);
    }
    return good && r->n > 0;
}

bool rapl_read(struct rapl *r, double *joules, char *why, size_t why_size)
{
    double micro = 0;
    for (int i = 0; i < r->n; i++) {
        struct rapl_zone *z = &r->zone[i];
        uint64_t now;
        if (!read_number(z->path, &now)) {
            snprintf(why, why_size, "%s can no longer be read", z->path);
            return false;
        }
        if (now < z->last && z->range < z->last) {
            snprintf(why, why_size, "%s went from %llu back to %llu without reaching its end, %llu",
                     z->path, (unsigned long long)z->last, (unsigned long long)now,
                     (unsigned long long)z->range);
            return false;
        }
        micro += (double)(now >= z->last ? now - z->last : z->range - z->last + now);
        z->last = now;
    }
    *joules = micro * 1e-6;
    return true;
}
