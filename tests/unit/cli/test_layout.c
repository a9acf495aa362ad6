/* The folder of an instance. */
#include "base/mem.h"
#include "base/paths.h"
#include "cli/layout.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[TEMP_DIR_SIZE];

static enum tp_err prepare(const char *below, struct tp_layout *out, struct tp_diag *diag);

/* Where it is not to fail. */
static void prepare_well(struct tp_layout *out)
{
    struct tp_diag *diag = tp_diag_new();

    if (prepare("a", out, diag) != TP_OK)
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    tp_diag_free(diag);
}

static enum tp_err prepare(const char *below, struct tp_layout *out, struct tp_diag *diag)
{
    char prefix[512];
    struct tp_settings_input input = { .prefix = prefix };
    struct tp_settings *s = NULL;
    enum tp_err err;

    snprintf(prefix, sizeof(prefix), "%s/%s", folder, below);
    err = tp_settings_load(&s, &input, diag);
    if (!err)
        err = tp_layout_prepare(out, s, diag);
    tp_settings_free(s);
    return err;
}

static void begin(mode_t mode)
{
    temp_dir_make(folder, "layout");
    chmod(folder, mode);
}

static void end(void)
{
    temp_dir_remove(folder);
}

TEST(folders_are_made_with_their_modes)
{
    struct tp_layout layout = { 0 };
    struct stat st;
    char *path;

    begin(0755);
    prepare_well(&layout);
    path = tp_path_under(layout.prefix, "data");
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700);
    free(path);
    path = tp_path_under(layout.prefix, "sockets");
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0750);
    CHECK_INT(st.st_gid, layout.worker_gid);
    free(path);
    tp_layout_fini(&layout);
    end();
}

TEST(prefix_with_no_room_for_sockets_is_refused)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_layout layout = { 0 };

    begin(0755);
    CHECK_INT(prepare("0123456789012345678901234567890123456789012345678901234567890123456789", &layout, diag),
              TP_ERR_INVALID);
    CHECK(strstr(tp_diag_text(diag), "too long for unix sockets") != NULL);
    tp_diag_free(diag);
    end();
}

TEST(prefix_that_workers_cannot_enter_is_refused)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_layout layout = { 0 };
    enum tp_err err;

    begin(0700);
    err = prepare("a", &layout, diag);
    if (geteuid() == 0) { /* without root the workers are ourselves */
        CHECK_INT(err, TP_ERR_INVALID);
        CHECK(strstr(tp_diag_text(diag), "may not enter") != NULL);
    } else {
        CHECK_INT(err, TP_OK);
        tp_layout_fini(&layout);
    }
    tp_diag_free(diag);
    end();
}

TEST(second_holder_learns_who_has_it)
{
    struct tp_layout layout = { 0 };
    int fd = -1, second = -1;
    pid_t holder = 0;

    begin(0755);
    prepare_well(&layout);
    CHECK_INT(tp_layout_holder(layout.prefix), 0);
    CHECK_INT(tp_layout_lock(layout.prefix, &fd, &holder, NULL), TP_OK);
    CHECK_INT(tp_layout_lock(layout.prefix, &second, &holder, NULL), TP_ERR_EXISTS);
    CHECK_INT(holder, getpid());
    CHECK_INT(tp_layout_holder(layout.prefix), getpid());
    close(fd);
    CHECK_INT(tp_layout_holder(layout.prefix), 0); /* a stale file holds nobody off */
    CHECK_INT(tp_layout_lock(layout.prefix, &fd, &holder, NULL), TP_OK);
    close(fd);
    tp_layout_fini(&layout);
    end();
}

/* `turnpike health` at the moment of a start. */
TEST(a_question_who_holds_the_lock_holds_no_start_off)
{
    struct tp_layout layout = { 0 };
    int fd = -1, asked = -1;
    pid_t holder = 0, pid;
    char *path;

    begin(0755);
    prepare_well(&layout);
    path = tp_path_under(layout.prefix, TP_PATH_PID);
    asked = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    CHECK(flock(asked, LOCK_SH) == 0);
    pid = fork();
    if (pid == 0) { /* the question ends a little later */
        usleep(50 * 1000);
        flock(asked, LOCK_UN);
        _exit(0);
    }
    CHECK_INT(tp_layout_lock(layout.prefix, &fd, &holder, NULL), TP_OK);
    waitpid(pid, NULL, 0);
    close(asked);
    close(fd);
    free(path);
    tp_layout_fini(&layout);
    end();
}

/* nginx, still root, gives folders below it to the workers by name: a link put there would give its target away. */
TEST(workers_cannot_put_links_where_root_works_by_name)
{
    static const char *const names[] = { "run", "sockets", "read", "shared", "logs", "data", "ssl", "temp" };
    struct tp_layout layout = { 0 };
    struct stat st;

    begin(0755);
    prepare_well(&layout);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = tp_path_under(layout.prefix, names[i]);

        CHECK(stat(path, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0022) == 0);
        free(path);
    }
    tp_layout_fini(&layout);
    end();
}

TEST(pid_of_the_dead_counts_as_none)
{
    struct tp_layout layout = { 0 };
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    begin(0755);
    prepare_well(&layout);
    tp_layout_write_pid(layout.prefix, TP_PATH_NGINX_PID, pid);
    CHECK_INT(tp_layout_read_pid(layout.prefix, TP_PATH_NGINX_PID), 0);
    tp_layout_write_pid(layout.prefix, TP_PATH_NGINX_PID, getpid());
    CHECK_INT(tp_layout_read_pid(layout.prefix, TP_PATH_NGINX_PID), getpid());
    tp_layout_write_pid(layout.prefix, TP_PATH_NGINX_PID, 0);
    CHECK_INT(tp_layout_read_pid(layout.prefix, TP_PATH_NGINX_PID), 0);
    tp_layout_fini(&layout);
    end();
}

TEST(files_are_replaced_whole_and_with_their_mode)
{
    char path[128], text[16] = "";
    struct stat st;
    FILE *file;

    begin(0755);
    snprintf(path, sizeof(path), "%s/f", folder);
    CHECK_INT(tp_file_replace(path, TP_STR("one"), 0600, (gid_t)-1, NULL), TP_OK);
    CHECK_INT(tp_file_replace(path, TP_STR("two"), 0640, (gid_t)-1, NULL), TP_OK);
    file = fopen(path, "r");
    CHECK(file && fread(text, 1, sizeof(text) - 1, file) == 3);
    fclose(file);
    CHECK_STR((const char *)text, "two");
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640);
    CHECK_INT(tp_file_replace("/nonexistent/f", TP_STR("x"), 0600, (gid_t)-1, NULL), TP_ERR_IO);
    end();
}
