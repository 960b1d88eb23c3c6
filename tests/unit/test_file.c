/*
 * test_file.c - files are replaced whole or not at all: full disks, folders that may not be
 * written, links, devices; and paths.
 */
#include "base/file.h"
#include "base/mem.h"
#include "run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/vov-test-file-XXXXXX";

static char *in_dir(const char *name)
{
    return path_join(dir, name);
}

static void expect_content(const char *path, const char *wanted)
{
    struct buf b = {0};
    struct err err = {0};
    ck_assert_msg(file_read(path, 1000, &b, &err) == VOV_OK, "%s", err.msg);
    ck_assert_str_eq(b.p != NULL ? b.p : "", wanted);
    buf_free(&b);
}

static int n_files(void)
{
    char **names;
    int n;
    ck_assert_int_eq(file_list(dir, &names, &n, NULL), VOV_OK);
    file_list_free(names, n);
    return n;
}

START_TEST(written_and_read)
{
    char *path = in_dir("a.txt");
    ck_assert_int_eq(file_write(path, "one", 3, NULL), VOV_OK);
    expect_content(path, "one");
    ck_assert_int_eq(file_write(path, "", 0, NULL), VOV_OK);
    expect_content(path, "");
    ck_assert_int_eq(n_files(), 1);
    mem_free(path);
}
END_TEST

START_TEST(aborted_leaves_the_old)
{
    char *path = in_dir("b.txt");
    struct file_writer w;
    ck_assert_int_eq(file_write(path, "old", 3, NULL), VOV_OK);
    const int n = n_files();
    ck_assert_int_eq(file_create(path, &w, NULL), VOV_OK);
    file_put(&w, "new", 3);
    ck_assert_int_eq(n_files(), n + 1);
    file_abort(&w);
    expect_content(path, "old");
    ck_assert_int_eq(n_files(), n);
    mem_free(path);
}
END_TEST

START_TEST(full_disk_leaves_the_old)
{
    char *path = in_dir("c.bin");
    struct err err = {0};
    struct file_writer w;
    ck_assert_int_eq(file_write(path, "old", 3, NULL), VOV_OK);
    const int n = n_files();
    /* A limit on the size of files stands for the full disk. */
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {100000, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    static char block[50000];
    ck_assert_int_eq(file_create(path, &w, NULL), VOV_OK);
    for (int i = 0; i < 10; i++) {
        file_put(&w, block, sizeof block);
    }
    ck_assert_int_eq(file_commit(&w, &err), VOV_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "File too large"));
    ck_assert_ptr_nonnull(strstr(err.msg, "is kept"));
    expect_content(path, "old");
    ck_assert_int_eq(n_files(), n);
    mem_free(path);
}
END_TEST

START_TEST(full_device)
{
    struct err err = {0};
    ck_assert_int_eq(file_write("/dev/full", "x", 1, &err), VOV_EIO);
    ck_assert_str_eq(err.msg, "cannot write /dev/full: No space left on device");
    ck_assert_int_eq(file_write("/dev/null", "x", 1, NULL), VOV_OK);
    struct stat st;
    ck_assert_int_eq(stat("/dev/null", &st), 0);
    ck_assert(S_ISCHR(st.st_mode)); /* not renamed over */
}
END_TEST

START_TEST(folder_that_may_not_be_written)
{
    if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0)) {
        return; /* root that cannot become anybody else may write everywhere */
    }
    struct err err = {0};
    ck_assert_int_eq(file_write("/usr/vov-test", "x", 1, &err), VOV_EIO);
    ck_assert_str_eq(err.msg, "cannot write /usr/vov-test: Permission denied");
    err = (struct err){0};
    ck_assert_int_eq(file_mkdirs("/usr/vov-test/a", &err), VOV_EIO);
    ck_assert_str_eq(err.msg, "cannot make folder /usr/vov-test: Permission denied");
    ck_assert(seteuid(getuid()) == 0 && setegid(getgid()) == 0);
}
END_TEST

START_TEST(missing_folder)
{
    struct err err = {0};
    ck_assert_int_eq(file_write("/no/such/folder/x", "x", 1, &err), VOV_EIO);
    ck_assert_str_eq(err.msg, "cannot write /no/such/folder/x: No such file or directory");
    err = (struct err){0};
    ck_assert_int_eq(file_try("", &err), VOV_EIO);
    ck_assert_str_eq(err.msg, "cannot write \"\": No such file or directory");
}
END_TEST

START_TEST(link_stays_a_link)
{
    char *path = in_dir("real.txt"), *link_path = in_dir("link.txt");
    struct stat st;
    ck_assert_int_eq(file_write(path, "old", 3, NULL), VOV_OK);
    ck_assert_int_eq(symlink("real.txt", link_path), 0);
    ck_assert_int_eq(file_write(link_path, "new", 3, NULL), VOV_OK);
    expect_content(path, "new");
    ck_assert_int_eq(lstat(link_path, &st), 0);
    ck_assert(S_ISLNK(st.st_mode));

    struct err err = {0};
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("link.txt", path), 0); /* a loop is no file, and no place for one */
    ck_assert_int_eq(file_write(path, "new", 3, &err), VOV_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Too many levels of symbolic links"));
    ck_assert_int_eq(lstat(path, &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    mem_free(path);
    mem_free(link_path);
}
END_TEST

START_TEST(what_is_no_file_is_not_read)
{
    struct buf b = {0};
    struct err err = {0};
    ck_assert_int_eq(file_read(dir, 10, &b, &err), VOV_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "it is a folder"));
    ck_assert_int_eq(file_read("/dev/zero", 10, &b, NULL), VOV_EIO);
    ck_assert_int_eq(file_read("/no/such", 10, &b, NULL), VOV_EIO);
    char *path = in_dir("d.txt");
    ck_assert_int_eq(file_write(path, "0123456789", 10, NULL), VOV_OK);
    ck_assert_int_eq(file_read(path, 9, &b, NULL), VOV_EIO);
    b.n = 0;
    ck_assert_int_eq(file_read(path, 10, &b, NULL), VOV_OK);
    mem_free(path);
    buf_free(&b);
}
END_TEST

START_TEST(folders)
{
    char *deep = in_dir("x/y//z/"), *file = in_dir("x/file");
    char **names;
    int n;
    ck_assert_int_eq(file_mkdirs(deep, NULL), VOV_OK);
    ck_assert_int_eq(file_mkdirs(deep, NULL), VOV_OK);
    ck_assert(file_is_dir(deep));
    ck_assert_int_eq(file_write(file, "", 0, NULL), VOV_OK);
    ck_assert(file_exists(file) && !file_is_dir(file));
    ck_assert_int_eq(file_mkdirs(file, NULL), VOV_EIO);
    char *x = in_dir("x");
    ck_assert_int_eq(file_list(x, &names, &n, NULL), VOV_OK);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(names[0], "file");
    ck_assert_str_eq(names[1], "y");
    file_list_free(names, n);
    ck_assert_int_eq(file_list("/no/such", &names, &n, NULL), VOV_EIO);
    mem_free(x);
    mem_free(deep);
    mem_free(file);
}
END_TEST

static void expect_path(char *found, const char *wanted)
{
    ck_assert_str_eq(found, wanted);
    mem_free(found);
}

/* Held by one at a time, and free again after its holder, also one that was killed. */
START_TEST(locks)
{
    struct err err = {0};
    DIR *first, *second;
    int ready[2];
    char byte = 0;
    ck_assert(file_lock(dir, &first, &err) == VOV_OK && first != NULL);
    ck_assert(file_lock(dir, &second, &err) == VOV_EARG);
    ck_assert_ptr_null(second);
    ck_assert_msg(strstr(err.msg, "in use by another run") != NULL, "%s", err.msg);
    file_unlock(first);
    file_unlock(NULL);
    ck_assert_int_eq(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        file_lock(dir, &first, NULL);
        _exit(write(ready[1], &byte, 1) != 1 || pause());
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    err = (struct err){0};
    ck_assert(file_lock(dir, &second, &err) == VOV_EARG);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    err = (struct err){0};
    ck_assert(file_lock(dir, &second, &err) == VOV_OK);
    file_unlock(second);
    ck_assert(file_lock("/nowhere/at/all", &second, &err) == VOV_EIO);
    close(ready[0]);
    close(ready[1]);
}
END_TEST

START_TEST(paths)
{
    expect_path(path_beside("a/b.data", "c/d"), "a/c/d");
    expect_path(path_beside("b.data", "d"), "d");
    expect_path(path_beside("/b.data", "d"), "/d");
    expect_path(path_beside("a/b.data", "/d"), "/d");
    expect_path(path_join("a", "b"), "a/b");
    expect_path(path_join("a/", "b"), "a/b");
    expect_path(path_join("", "b"), "b");
    ck_assert_str_eq(path_base("a/b/c.jpg"), "c.jpg");
    ck_assert_str_eq(path_base("c"), "c");
    ck_assert_str_eq(path_ext("a.b/c"), "");
    ck_assert_str_eq(path_ext("a.b/c.tar.gz"), "gz");
    ck_assert_str_eq(path_ext("a/.hidden"), "");
}
END_TEST

/* Each allocation of a write may fail: an error, never a lost file. */
START_TEST(without_memory)
{
    char *path = in_dir("e.txt");
    ck_assert_int_eq(file_write(path, "old", 3, NULL), VOV_OK);
    const int n = n_files();
    for (long i = 1; i < 4; i++) {
        mem_fail_after(i);
        const enum vov_status status = file_write(path, "old", 3, NULL);
        mem_fail_after(0);
        ck_assert(status == VOV_OK || status == VOV_ENOMEM || status == VOV_EIO);
        expect_content(path, "old");
        ck_assert_int_eq(n_files(), n);
    }
    mem_free(path);
}
END_TEST

static int remove_one(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return unlink(path);
    }
    char **names;
    int n;
    if (file_list(path, &names, &n, NULL) == VOV_OK) {
        for (int i = 0; i < n; i++) {
            char *inner = path_join(path, names[i]);
            remove_one(inner);
            mem_free(inner);
        }
        file_list_free(names, n);
    }
    return rmdir(path);
}

int main(void)
{
    const TTest *const tests[] = {written_and_read,
                                  aborted_leaves_the_old,
                                  full_disk_leaves_the_old,
                                  full_device,
                                  folder_that_may_not_be_written,
                                  missing_folder,
                                  link_stays_a_link,
                                  what_is_no_file_is_not_read,
                                  folders,
                                  locks,
                                  paths,
                                  without_memory,
                                  NULL};
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    const int code = run_tests("file", tests);
    remove_one(dir);
    return code;
}
