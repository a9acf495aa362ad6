/* The link's server, with workers played by plain sockets. */
#include "base/clock.h"
#include "base/frame.h"
#include "control/link.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SECOND 1000

static char dir[TEMP_DIR_SIZE], path[96];

static struct tp_link *start(void)
{
    struct tp_link *link = NULL;

    temp_dir_make(dir, "link");
    snprintf(path, sizeof(path), "%s/link.sock", dir);
    CHECK_INT(tp_link_start(&link, path, NULL), TP_OK);
    return link;
}

static void stop(struct tp_link *link)
{
    tp_link_stop(link);
    CHECK_INT(rmdir(dir), 0); /* the socket file went with it */
}

static int connect_worker(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval limit = { 5, 0 };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, path, strlen(path));
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
}

static void send_frame(int fd, struct tp_frame frame)
{
    struct tp_buf buf;

    tp_buf_init(&buf, 0);
    tp_frame_encode(&buf, &frame);
    CHECK_INT(send(fd, buf.data, buf.len, MSG_NOSIGNAL), buf.len);
    tp_buf_fini(&buf);
}

/* The next frame from control; type 0 when it hung up. */
static struct tp_frame receive_frame(int fd)
{
    char bytes[256];
    struct tp_frame frame = { 0 };
    size_t have = 0, used;

    while (have < sizeof(bytes) && tp_frame_decode(tp_str_make(bytes, have), &frame, &used) == TP_ERR_AGAIN) {
        if (recv(fd, bytes + have, 1, 0) != 1)
            return (struct tp_frame){ 0 };
        have++;
    }
    frame.text = TP_STR_NULL;
    return frame;
}

static void hello(int fd, uint64_t served)
{
    send_frame(fd, (struct tp_frame){ .type = TP_FRAME_HELLO, .pid = 1, .position = served });
}

static void ack(int fd, uint64_t position)
{
    send_frame(fd, (struct tp_frame){ .type = TP_FRAME_ACK, .position = position });
}

/* True when the count becomes `count` within five seconds. */
static bool count_becomes(struct tp_link *link, size_t count)
{
    for (int i = 0; i < 500; i++) {
        if (tp_link_worker_count(link) == count)
            return true;
        usleep(10000);
    }
    return false;
}

TEST(without_workers_nobody_is_behind)
{
    struct tp_link *link = start();

    tp_link_set_state(link, 1, 5, 5);
    CHECK_INT(tp_link_wait(link, 5, 0), TP_OK);
    CHECK_INT(tp_link_worker_count(link), 0);
    stop(link);
}

TEST(a_worker_hears_the_state_when_it_comes_and_when_it_changes)
{
    struct tp_link *link = start();
    struct tp_frame state;
    int fd, pids[1];

    tp_link_set_state(link, 2, 5, 4);
    fd = connect_worker();
    hello(fd, 0);
    state = receive_frame(fd);
    CHECK(state.type == TP_FRAME_STATE && state.epoch == 2 && state.position == 5 && state.plan == 4);
    tp_link_set_state(link, 2, 6, 4);
    state = receive_frame(fd);
    CHECK(state.type == TP_FRAME_STATE && state.position == 6);
    CHECK_INT(tp_link_worker_pids(link, pids, 1), 1);
    CHECK_INT(pids[0], getpid()); /* the kernel's word, not the frame's */
    close(fd);
    CHECK(count_becomes(link, 0));
    stop(link);
}

TEST(waiting_ends_when_the_last_worker_acknowledges)
{
    struct tp_link *link = start();
    int a = connect_worker(), b = connect_worker();

    hello(a, 0);
    hello(b, 0);
    CHECK(count_becomes(link, 2));
    tp_link_set_state(link, 1, 9, 9);
    ack(a, 9);
    CHECK_INT(tp_link_wait(link, 9, 50), TP_ERR_TIMEOUT);
    ack(b, 8);
    CHECK_INT(tp_link_wait(link, 9, 50), TP_ERR_TIMEOUT);
    CHECK_INT(tp_link_wait(link, 8, 5 * SECOND), TP_OK);
    ack(b, 9);
    CHECK_INT(tp_link_wait(link, 9, 5 * SECOND), TP_OK);
    close(a);
    close(b);
    stop(link);
}

TEST(a_worker_that_leaves_or_dies_is_not_waited_for)
{
    struct tp_link *link = start();
    int a = connect_worker(), b = connect_worker();

    hello(a, 0);
    hello(b, 0);
    CHECK(count_becomes(link, 2));
    tp_link_set_state(link, 1, 9, 9);
    send_frame(a, (struct tp_frame){ .type = TP_FRAME_BYE });
    close(b);
    CHECK_INT(tp_link_wait(link, 9, 5 * SECOND), TP_OK);
    CHECK_INT(tp_link_worker_count(link), 0);
    close(a);
    stop(link);
}

TEST(one_that_did_not_say_hello_is_not_counted)
{
    struct tp_link *link = start();
    int fd = connect_worker();

    tp_link_set_state(link, 1, 9, 9);
    CHECK_INT(tp_link_wait(link, 9, 50), TP_OK);
    close(fd);
    stop(link);
}

TEST(garbage_ends_the_connection)
{
    struct tp_link *link = start();
    int fd = connect_worker();

    hello(fd, 0);
    CHECK(count_becomes(link, 1));
    CHECK_INT(send(fd, "\xff\xff\xff\xff\xff", 5, MSG_NOSIGNAL), 5);
    CHECK_INT(receive_frame(fd).type, 0);
    CHECK(count_becomes(link, 0));
    close(fd);
    fd = connect_worker(); /* what only control says */
    send_frame(fd, (struct tp_frame){ .type = TP_FRAME_STATE });
    CHECK_INT(receive_frame(fd).type, 0);
    close(fd);
    stop(link);
}

TEST(a_worker_that_does_not_read_is_dropped)
{
    struct tp_link *link = start();
    int fd = connect_worker();

    hello(fd, 0);
    CHECK(count_becomes(link, 1));
    for (uint64_t i = 1; i < 200000 && tp_link_worker_count(link) == 1; i++)
        tp_link_set_state(link, 1, i, i);
    CHECK(count_becomes(link, 0));
    close(fd);
    stop(link);
}

TEST(frames_may_come_in_pieces)
{
    struct tp_link *link = start();
    struct tp_frame frame = { .type = TP_FRAME_HELLO, .pid = 1, .position = 3 };
    struct tp_buf buf;
    int fd = connect_worker();

    tp_buf_init(&buf, 0);
    tp_frame_encode(&buf, &frame);
    frame = (struct tp_frame){ .type = TP_FRAME_ACK, .position = 4 };
    tp_frame_encode(&buf, &frame);
    for (size_t i = 0; i < buf.len; i++) {
        CHECK_INT(send(fd, buf.data + i, 1, MSG_NOSIGNAL), 1);
        usleep(1000);
    }
    CHECK(count_becomes(link, 1));
    CHECK_INT(tp_link_wait(link, 4, 5 * SECOND), TP_OK);
    tp_buf_fini(&buf);
    close(fd);
    stop(link);
}

TEST(an_unknown_call_is_answered)
{
    struct tp_link *link = start();
    struct tp_frame reply;
    int fd = connect_worker();

    hello(fd, 0);
    send_frame(fd, (struct tp_frame){ .type = TP_FRAME_CALL, .id = 77, .deadline_ms = 10, .text = TP_STR("?") });
    reply = receive_frame(fd);
    CHECK(reply.type == TP_FRAME_REPLY && reply.id == 77 && reply.error == TP_ERR_NOT_FOUND);
    close(fd);
    stop(link);
}

TEST(a_stale_socket_is_replaced_and_a_live_one_is_not)
{
    struct tp_link *link = start(), *second = NULL;
    struct tp_diag *diag = tp_diag_new();
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat st;
    int fd;

    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0660);
    CHECK_INT(tp_link_start(&second, path, diag), TP_ERR_EXISTS);
    CHECK_INT(tp_diag_count(diag), 1);
    tp_link_stop(link);
    fd = socket(AF_UNIX, SOCK_STREAM, 0); /* bound, and never listened: a dead control's */
    memcpy(address.sun_path, path, strlen(path));
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    CHECK_INT(tp_link_start(&link, path, diag), TP_OK);
    tp_diag_free(diag);
    stop(link);
}

TEST(a_path_too_long_is_named)
{
    char longest[200];
    struct tp_link *link;
    struct tp_diag *diag = tp_diag_new();

    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    CHECK_INT(tp_link_start(&link, longest, diag), TP_ERR_INVALID);
    CHECK_INT(tp_diag_count(diag), 1);
    tp_diag_free(diag);
}

static void *acknowledge_later(void *data)
{
    usleep(50000);
    ack(*(int *)data, 5);
    return NULL;
}

TEST(a_waiter_is_woken_by_the_acknowledgement)
{
    struct tp_link *link = start();
    int fd = connect_worker();
    pthread_t thread;
    int64_t began;

    hello(fd, 0);
    CHECK(count_becomes(link, 1));
    began = tp_clock_monotonic_ms();
    pthread_create(&thread, NULL, acknowledge_later, &fd);
    CHECK_INT(tp_link_wait(link, 5, 20 * SECOND), TP_OK);
    CHECK(tp_clock_monotonic_ms() - began < 5 * SECOND);
    pthread_join(thread, NULL);
    close(fd);
    stop(link);
}
