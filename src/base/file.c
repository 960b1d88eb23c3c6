/*
 * file.c - files as wholes, folders and paths. A file is written under a temporary name in the same
 * folder, synced, and renamed over the old one, whose folder is then synced: after a crash or on a
 * full disk the old file is there, or the new one, never a part.
 */
#include "file.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { CHUNK = 65536 };

/* How many bytes to ask for next: what the file is said to have left and one more, for its end. */
static size_t next_read(int fd, size_t total, size_t max)
{
    struct stat st;
    const size_t most = max - total;
    const size_t size = fstat(fd, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 0;
    const size_t want = size > total ? size - total + 1 : CHUNK;

    return want < most ? want : most;
}

/* Once `max` bytes are there: whether that is all. */
static enum vov_status at_most(int fd, const char *path, size_t max, struct err *err)
{
    char more;
    return read(fd, &more, 1) == 0
               ? VOV_OK
               : err_set(err, VOV_EIO, "%s: at most %zu bytes are read, and it has more", path,
                         max);
}

static enum vov_status read_all(int fd, const char *path, size_t max, struct buf *out,
                                struct err *err)
{
    size_t total = 0;
    while (total < max) {
        const size_t most = next_read(fd, total, max);
        char *to = buf_room(out, most);
        if (to == NULL) {
            return err_nomem(err, total + most);
        }
        const ssize_t n = read(fd, to, most);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return err_io(err, "read", path);
        }
        buf_filled(out, (size_t)n);
        if (n == 0) {
            return VOV_OK;
        }
        total += (size_t)n;
    }
    return at_most(fd, path, max, err);
}

static enum vov_status open_plain(const char *path, int *fd, struct err *err)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        return err_io(err, "read", path);
    }
    enum vov_status status = VOV_OK;
    if (fstat(*fd, &st) != 0) {
        status = err_io(err, "read", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = err_set(err, VOV_EIO, "cannot read %s: it is %s", path,
                         S_ISDIR(st.st_mode) ? "a folder" : "no plain file");
    }
    if (status != VOV_OK) {
        close(*fd);
    }
    return status;
}

enum vov_status file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    int fd;
    TRY(open_plain(path, &fd, err));
    const enum vov_status status = read_all(fd, path, max, out, err);
    close(fd);
    return status;
}

enum vov_status file_parts_open(const char *path, struct file_parts *f, struct err *err)
{
    struct stat st;
    int fd;

    *f = (struct file_parts){.fd = -1, .path = path};
    TRY(open_plain(path, &fd, err));
    if (fstat(fd, &st) != 0) {
        const enum vov_status status = err_io(err, "read", path);
        close(fd);
        return status;
    }
    f->fd = fd;
    f->n = (size_t)st.st_size;
    return VOV_OK;
}

enum vov_status file_parts_read(const struct file_parts *f, size_t at, void *out, size_t n,
                                struct err *err)
{
    char *to = out;

    while (n > 0) {
        const ssize_t got = pread(f->fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return err_io(err, "read", f->path);
        }
        if (got == 0) {
            return err_set(err, VOV_EIO, "cannot read %s: it ends at byte %zu, and had %zu bytes",
                           f->path, at, f->n);
        }
        to += got;
        at += (size_t)got;
        n -= (size_t)got;
    }
    return VOV_OK;
}

void file_parts_close(struct file_parts *f)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    *f = (struct file_parts){.fd = -1};
}

enum vov_status file_open(const char *path, FILE **f, struct err *err)
{
    int fd;
    *f = NULL;
    TRY(open_plain(path, &fd, err));
    *f = fdopen(fd, "rb");
    if (*f == NULL) {
        const enum vov_status status = err_io(err, "read", path);
        close(fd);
        return status;
    }
    return VOV_OK;
}

/* Opens a new file beside path: "path.tmp-PID-0", or a later number where that one exists. */
static int open_temporary(const char *path, char **tmp)
{
    const size_t size = strlen(path) + 48;
    *tmp = mem_alloc(size, 1);
    if (*tmp == NULL) {
        errno = ENOMEM;
        return -1;
    }
    int fd = -1;
    for (int i = 0; i < 100 && fd < 0; i++) {
        snprintf(*tmp, size, "%s.tmp-%ld-%d", path, (long)getpid(), i);
        fd = open(*tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) {
            return -1;
        }
    }
    return fd;
}

/* The file that is meant: the target of a link, so that the link stays one. NULL with errno. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    if (real != NULL || errno != ENOENT || path[0] == '\0') {
        return real;
    }
    char *copy = mem_strdup(path);
    errno = copy == NULL ? ENOMEM : 0;
    return copy;
}

static void forget(struct file_writer *w)
{
    mem_free(w->tmp);
    mem_free(w->path);
    *w = (struct file_writer){0};
}

enum vov_status file_create(const char *path, struct file_writer *w, struct err *err)
{
    struct stat st;
    *w = (struct file_writer){0};
    w->path = resolve(path);
    if (w->path == NULL) {
        return errno == ENOMEM ? err_nomem(err, strlen(path)) : err_io(err, "write", path);
    }
    int fd;
    if (stat(w->path, &st) == 0 && !S_ISREG(st.st_mode)) {
        fd = open(w->path, O_WRONLY | O_CLOEXEC); /* /dev/stdout: nothing to rename over */
    } else {
        fd = open_temporary(w->path, &w->tmp);
    }
    w->f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (w->f == NULL) {
        const enum vov_status status = err_io(err, "write", path);
        if (fd >= 0) {
            close(fd);
            if (w->tmp != NULL) {
                unlink(w->tmp);
            }
        }
        forget(w);
        return status;
    }
    return VOV_OK;
}

static void note(struct file_writer *w)
{
    if (w->error == 0) {
        w->error = errno != 0 ? errno : EIO;
    }
}

void file_put(struct file_writer *w, const void *bytes, size_t n)
{
    errno = 0;
    if (n > 0 && w->error == 0 && fwrite(bytes, 1, n, w->f) != n) {
        note(w);
    }
}

/* So that the rename itself survives a power cut. Some file systems refuse: nothing is lost. */
static void sync_folder_of(const char *path)
{
    char *dir = mem_strdup(path);
    if (dir == NULL) {
        return;
    }
    char *slash = strrchr(dir, '/');
    if (slash != NULL) {
        slash[slash == dir] = '\0';
    }
    const int fd = open(slash != NULL ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    mem_free(dir);
}

enum vov_status file_commit(struct file_writer *w, struct err *err)
{
    errno = 0;
    const bool sync = w->tmp != NULL && !w->quick;
    if (ferror(w->f) || fflush(w->f) != 0 || (sync && fsync(fileno(w->f)) != 0)) {
        note(w);
    }
    if (fclose(w->f) != 0) {
        note(w);
    }
    w->f = NULL;
    if (w->error == 0 && w->tmp != NULL && rename(w->tmp, w->path) != 0) {
        note(w);
    }
    if (w->error != 0) {
        char reason[128];
        const bool kept = w->tmp != NULL && file_exists(w->path);
        const enum vov_status status = err_set(err, VOV_EIO, "cannot write %s: %s%s", w->path,
                                               strerror_r(w->error, reason, sizeof reason),
                                               kept ? "; the file that was there is kept" : "");
        file_abort(w);
        return status;
    }
    if (sync) {
        sync_folder_of(w->path);
    }
    forget(w);
    return VOV_OK;
}

void file_abort(struct file_writer *w)
{
    if (w->f != NULL) {
        fclose(w->f);
    }
    if (w->tmp != NULL) {
        unlink(w->tmp);
    }
    forget(w);
}

enum vov_status file_write(const char *path, const void *bytes, size_t n, struct err *err)
{
    struct file_writer w;
    TRY(file_create(path, &w, err));
    file_put(&w, bytes, n);
    return file_commit(&w, err);
}

enum vov_status file_try(const char *path, struct err *err)
{
    struct stat st;
    struct file_writer w;
    if (path == NULL || (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
        return VOV_OK; /* a pipe or a device: its reader would notice */
    }
    TRY(file_create(path, &w, err));
    file_abort(&w);
    return VOV_OK;
}

bool file_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

size_t file_room(const char *dir)
{
    struct statvfs st;
    if (statvfs(dir, &st) != 0 || st.f_blocks == 0) { /* some file systems do not count */
        return SIZE_MAX;
    }
    const size_t block = st.f_frsize;
    return block > 0 && st.f_bavail < SIZE_MAX / block ? st.f_bavail * block : SIZE_MAX;
}

enum vov_status file_lock(const char *dir, DIR **lock, struct err *err)
{
    DIR *d = opendir(dir);
    *lock = NULL;
    if (d == NULL) {
        return err_io(err, "open", dir);
    }
    if (flock(dirfd(d), LOCK_EX | LOCK_NB) == 0) {
        *lock = d;
        return VOV_OK;
    }
    const bool held = errno == EWOULDBLOCK;
    closedir(d);
    return held ? err_set(err, VOV_EARG, "%s is in use by another run", dir) : VOV_OK;
}

void file_unlock(DIR *lock)
{
    if (lock != NULL) {
        closedir(lock);
    }
}

static enum vov_status make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0777) == 0) {
        return VOV_OK;
    }
    const int reason = errno;
    if (file_is_dir(path)) {
        return VOV_OK;
    }
    errno = reason == EEXIST ? ENOTDIR : reason;
    return err_io(err, "make folder", path);
}

enum vov_status file_mkdirs(const char *path, struct err *err)
{
    char *partial = mem_strdup(path);
    if (partial == NULL) {
        return err_nomem(err, strlen(path));
    }
    enum vov_status status = VOV_OK;
    for (char *p = partial; status == VOV_OK && *p != '\0';) {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        const char kept = *p;
        *p = '\0';
        status = partial[0] != '\0' ? make_folder(partial, err) : VOV_OK;
        *p = kept;
    }
    mem_free(partial);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static bool list_add(char ***names, int *n, int *cap, const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return true;
    }
    char *copy = mem_strdup(name);
    if (copy == NULL || !VEC_GROW(*names, *n, *cap)) {
        mem_free(copy);
        return false;
    }
    (*names)[(*n)++] = copy;
    return true;
}

enum vov_status file_list(const char *dir, char ***names, int *n, struct err *err)
{
    char **list = NULL;
    int count = 0, cap = 0;
    enum vov_status status = VOV_OK;
    *names = NULL;
    *n = 0;
    DIR *d = opendir(dir);
    if (d == NULL) {
        return err_io(err, "read folder", dir);
    }
    const struct dirent *e;
    while (status == VOV_OK && (errno = 0, e = readdir(d)) != NULL) {
        if (!list_add(&list, &count, &cap, e->d_name)) {
            status = err_nomem(err, strlen(e->d_name));
        }
    }
    if (status == VOV_OK && errno != 0) {
        status = err_io(err, "read folder", dir);
    }
    closedir(d);
    if (status != VOV_OK) {
        file_list_free(list, count);
        return status;
    }
    if (count > 0) {
        qsort(list, (size_t)count, sizeof *list, by_bytes);
    }
    *names = list;
    *n = count;
    return VOV_OK;
}

void file_list_free(char **names, int n)
{
    for (int i = 0; i < n; i++) {
        mem_free(names[i]);
    }
    mem_free(names);
}

/* n bytes of a, then b. */
static char *glue(const char *a, size_t n, const char *b)
{
    const size_t n_b = strlen(b);
    char *s = mem_alloc(n + n_b + 1, 1);
    if (s != NULL) {
        memcpy(s, a, n);
        memcpy(s + n, b, n_b);
    }
    return s;
}

char *path_beside(const char *from, const char *name)
{
    return name[0] == '/' ? mem_strdup(name) : glue(from, (size_t)(path_base(from) - from), name);
}

char *path_join(const char *dir, const char *name)
{
    const size_t n = strlen(dir);
    if (n == 0 || name[0] == '/') {
        return mem_strdup(name);
    }
    if (dir[n - 1] == '/') {
        return glue(dir, n, name);
    }
    char *with_slash = glue(dir, n, "/");
    char *s = with_slash != NULL ? glue(with_slash, n + 1, name) : NULL;
    mem_free(with_slash);
    return s;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

const char *path_ext(const char *path)
{
    const char *base = path_base(path);
    const char *dot = strrchr(base, '.');
    return dot != NULL && dot != base ? dot + 1 : "";
}
