/*
 * file.h - files as wholes: read, written so that a reader sees the old or the new content and
 * never a part, and paths.
 */
#ifndef VOV_FILE_H
#define VOV_FILE_H

#include "buf.h"

#include <dirent.h>

/* Appends the file to *out. Refuses more than max bytes and what is no plain file (VOV_EIO). */
enum vov_status file_read(const char *path, size_t max, struct buf *out, struct err *err);

/* A plain file that is read in parts, in any order and from any thread. */
struct file_parts {
    int fd;
    const char *path; /* borrowed */
    size_t n;         /* its bytes when it was opened */
};
enum vov_status file_parts_open(const char *path, struct file_parts *f, struct err *err);
/* VOV_EIO also when it has become too short meanwhile. */
enum vov_status file_parts_read(const struct file_parts *f, size_t at, void *out, size_t n,
                                struct err *err);
void file_parts_close(struct file_parts *f);

/* A plain file for reading, closed by fclose. VOV_EIO also for folders, pipes and devices, which
 * could block for ever. */
enum vov_status file_open(const char *path, FILE **f, struct err *err);

/*
 * A file under a temporary name beside `path`, made by file_create. file_commit syncs it to the
 * disk and renames it over `path`; file_abort removes it. Both end the writer. A short write or a
 * full disk is remembered and reported by file_commit, which then leaves the old file as it was.
 */
struct file_writer {
    FILE *f;
    char *tmp, *path;
    int error;  /* errno of the first failure */
    bool quick; /* set it after file_create to leave out the syncing: for what can be made again */
};
enum vov_status file_create(const char *path, struct file_writer *w, struct err *err);
void file_put(struct file_writer *w, const void *bytes, size_t n);
enum vov_status file_commit(struct file_writer *w, struct err *err);
void file_abort(struct file_writer *w);

/* The three steps for bytes that are all there. */
enum vov_status file_write(const char *path, const void *bytes, size_t n, struct err *err);

/* Whether a file could be written there, for results that take long to make. NULL is fine. */
enum vov_status file_try(const char *path, struct err *err);

size_t file_room(const char *dir); /* bytes that its disk still takes; SIZE_MAX: not known */

enum vov_status file_mkdirs(const char *path, struct err *err); /* mkdir -p */
bool file_same(const char *a, const char *b);                   /* both are there, and one file */
bool file_exists(const char *path);
bool file_is_dir(const char *path);

/*
 * A folder for this holder alone, until file_unlock or the end of the process, however it ends:
 * nothing is left in the folder that could go stale. VOV_EARG when it is held already. *lock stays
 * NULL on file systems that know no locks.
 */
enum vov_status file_lock(const char *dir, DIR **lock, struct err *err);
void file_unlock(DIR *lock); /* NULL is fine */

/* Names in a folder, sorted by bytes, without "." and "..". Freed by file_list_free. */
enum vov_status file_list(const char *dir, char ***names, int *n, struct err *err);
void file_list_free(char **names, int n);

/* `name` as seen from the folder of the file `from`: an absolute name stays. mem_free, or NULL. */
char *path_beside(const char *from, const char *name);
char *path_join(const char *dir, const char *name); /* mem_free, or NULL */
const char *path_base(const char *path);            /* after the last '/' */
const char *path_ext(const char *path);             /* after the last '.' of the base, or "" */

#endif
