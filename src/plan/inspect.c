/*
 * A reader of LMDB's file format (0.9, 64 bit, little-endian), independent of LMDB, that trusts nothing.
 *
 * Invariants that the walk establishes: every reachable page lies in the file, is reached once, carries its own
 * number, and its nodes lie inside it in ascending order; so LMDB cannot be led astray by it. It knows the
 * layout of our values only through tp_layout_check.
 *
 *   page    u64 number, u16 -, u16 flags, u16 lower, u16 upper (overflow: u32 pages), u16 offsets[]
 *   node    u16 low, u16 high, u16 flags, u16 key size, key, data (leaf: size low|high<<16; branch: page number)
 */
#include "plan/inspect.h"

#include "base/mem.h"
#include "plan/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LMDB_MAGIC 0xBEEFC0DEu
#define LMDB_VERSION 1
#define PAGE_HEAD 16
#define NODE_HEAD 8
#define META_BYTES 136
#define MAX_DEPTH 32
#define NO_ROOT UINT64_MAX

enum { PAGE_BRANCH = 0x01, PAGE_LEAF = 0x02, PAGE_OVERFLOW = 0x04 };
enum { NODE_BIG = 0x01 };
enum { FREE_PAGES, ROWS }; /* the two trees of an environment */

struct tree {
    uint16_t depth;
    uint64_t entries;
    uint64_t root;
};

struct head {
    uint32_t page_size;
    uint64_t last_page;
    uint64_t txn;
    struct tree trees[2];
};

static uint64_t number_at(const uint8_t *p, size_t size)
{
    uint64_t v = 0;

    for (size_t i = size; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static enum tp_err damaged(struct tp_diag *diag, const char *path, const char *what)
{
    tp_diag_add(diag, path, "the read model is damaged: %s", what);
    return TP_ERR_DAMAGED;
}

/* `p`: META_BYTES bytes behind a page's head. */
static bool parse_meta(const uint8_t *p, struct head *out)
{
    const uint8_t *tree = p + 24;

    if (number_at(p, 4) != LMDB_MAGIC || number_at(p + 4, 4) != LMDB_VERSION)
        return false;
    out->page_size = (uint32_t)number_at(tree, 4);
    for (size_t i = 0; i < 2; i++, tree += 48) {
        out->trees[i].depth = (uint16_t)number_at(tree + 6, 2);
        out->trees[i].entries = number_at(tree + 32, 8);
        out->trees[i].root = number_at(tree + 40, 8);
    }
    out->last_page = number_at(p + 120, 8);
    out->txn = number_at(p + 128, 8);
    return out->page_size >= 512 && out->page_size <= 65536 && (out->page_size & (out->page_size - 1)) == 0;
}

/* The newer of the two meta pages: LMDB alternates between them. */
static enum tp_err read_head(int fd, const char *path, struct head *out, struct tp_diag *diag)
{
    uint8_t page[PAGE_HEAD + META_BYTES];
    struct head second;

    if (pread(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page))
        return damaged(diag, path, "the file is shorter than its head");
    if (!parse_meta(page + PAGE_HEAD, out))
        return damaged(diag, path, "the first page is not a head");
    if (pread(fd, page, sizeof(page), out->page_size) != (ssize_t)sizeof(page))
        return damaged(diag, path, "the file is shorter than its head");
    if (!parse_meta(page + PAGE_HEAD, &second) || second.page_size != out->page_size)
        return damaged(diag, path, "the second page is not a head");
    if (second.txn > out->txn)
        *out = second;
    return TP_OK;
}

static enum tp_err check_size(int fd, const char *path, const struct head *head, struct tp_diag *diag)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        tp_diag_add(diag, path, "cannot read: %m");
        return TP_ERR_IO;
    }
    if (head->last_page >= (uint64_t)st.st_size / head->page_size)
        return damaged(diag, path, "the file was truncated");
    return TP_OK;
}

static enum tp_err open_file(const char *path, int *fd, struct tp_diag *diag)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0)
        return TP_OK;
    if (errno == ENOENT)
        return TP_ERR_NOT_FOUND;
    tp_diag_add(diag, path, "cannot open: %m");
    return TP_ERR_IO;
}

/* Open and read the head. On success *fd is owned. */
static enum tp_err open_checked(const char *path, int *fd, struct head *head, struct tp_diag *diag)
{
    enum tp_err err = open_file(path, fd, diag);

    if (err)
        return err;
    err = read_head(*fd, path, head, diag);
    if (!err)
        err = check_size(*fd, path, head, diag);
    if (err)
        close(*fd);
    return err;
}

enum tp_err tp_inspect_head(const char *data_path, struct tp_diag *diag)
{
    struct head head;
    int fd;
    enum tp_err err = open_checked(data_path, &fd, &head, diag);

    if (!err)
        close(fd);
    return err;
}

/* --- The walk ---------------------------------------------------------------------------------- */

struct walk {
    const uint8_t *file;
    uint32_t page_size;
    uint64_t pages; /* that the newest transaction knows */
    uint8_t *seen;  /* a bit for each page */
    int which;      /* FREE_PAGES or ROWS */
    uint64_t entries;
    const char *fault; /* what was found; NULL: nothing */
};

static bool fail(struct walk *w, const char *what)
{
    w->fault = what;
    return false;
}

/* Claim `count` pages from `number` on: each may be reached once. */
static bool claim(struct walk *w, uint64_t number, uint64_t count)
{
    if (number < 2 || number >= w->pages || count == 0 || count > w->pages - number)
        return fail(w, "a page number points outside the file");
    for (uint64_t i = number; i < number + count; i++) {
        if (w->seen[i / 8] & 1u << (i % 8))
            return fail(w, "a page is used twice");
        w->seen[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return true;
}

static const uint8_t *page_at(struct walk *w, uint64_t number, uint16_t *flags)
{
    const uint8_t *page = w->file + number * w->page_size;

    *flags = (uint16_t)number_at(page + 10, 2);
    if (number_at(page, 8) != number) {
        fail(w, "a page carries another page's number");
        return NULL;
    }
    return page;
}

/* A free-page record: count, then as many page numbers. */
static bool check_free_list(struct walk *w, struct tp_str key, struct tp_str value)
{
    uint64_t count;

    if (key.len != 8 || value.len < 8)
        return fail(w, "a free-page record has the wrong size");
    count = number_at((const uint8_t *)value.data, 8);
    if (count > value.len / 8 - 1)
        return fail(w, "a free-page record is longer than its space");
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = number_at((const uint8_t *)value.data + 8 * i, 8);

        if (page < 2 || page >= w->pages)
            return fail(w, "a free page lies outside the file");
    }
    return true;
}

static bool check_entry(struct walk *w, struct tp_str key, struct tp_str value)
{
    w->entries++;
    if (w->which == FREE_PAGES)
        return check_free_list(w, key, value);
    if (key.len != TP_LAYOUT_KEY_LEN)
        return fail(w, "a key has the wrong length");
    if (tp_layout_check((enum tp_row_kind)(uint8_t)key.data[0], value))
        return fail(w, "a value cannot be decoded");
    return true;
}

/* The data of a leaf node; a large one lies in pages of its own. `room`: bytes behind the key in this page. */
static bool leaf_value(struct walk *w, const uint8_t *node, const uint8_t *data, size_t room, struct tp_str *out)
{
    size_t size = number_at(node, 4);
    uint16_t node_flags = (uint16_t)number_at(node + 4, 2), flags;
    uint64_t number;
    const uint8_t *page;

    if (node_flags & ~NODE_BIG)
        return fail(w, "a node has flags that we never use");
    *out = tp_str_make((const char *)data, size);
    if (!(node_flags & NODE_BIG))
        return size <= room ? true : fail(w, "a value reaches beyond its page");
    if (room < 8)
        return fail(w, "a value reaches beyond its page");
    number = number_at(data, 8);
    if (number >= w->pages)
        return fail(w, "a page number points outside the file");
    page = page_at(w, number, &flags);
    if (!page)
        return false;
    /* More pages than it needs: a shorter value has replaced a longer one. */
    if (flags != PAGE_OVERFLOW || (PAGE_HEAD + size + w->page_size - 1) / w->page_size > number_at(page + 12, 4))
        return fail(w, "a large value's pages are not its own");
    if (!claim(w, number, number_at(page + 12, 4)))
        return false;
    out->data = (const char *)page + PAGE_HEAD;
    return true;
}

static int compare_keys(const struct walk *w, struct tp_str a, struct tp_str b)
{
    if (w->which == FREE_PAGES && a.len == 8 && b.len == 8) { /* integer keys */
        uint64_t x = number_at((const uint8_t *)a.data, 8), y = number_at((const uint8_t *)b.data, 8);

        return x < y ? -1 : x > y;
    }
    return tp_str_cmp(a, b);
}

static bool walk_page(struct walk *w, uint64_t number, unsigned depth);

/* One node of a page; `previous` is the key before it, data NULL for none. */
static bool walk_node(struct walk *w, const uint8_t *page, size_t offset, unsigned depth, struct tp_str *previous)
{
    const uint8_t *node = page + offset;
    size_t key_size = number_at(node + 6, 2), room = w->page_size - offset - NODE_HEAD;
    bool leaf = depth == 1, first_of_branch = !leaf && !previous->data;
    struct tp_str key = tp_str_make((const char *)node + NODE_HEAD, key_size), value;

    if (key_size > room)
        return fail(w, "a key reaches beyond its page");
    /* The first key of a branch page stands for "anything smaller" and may be empty. */
    if (previous->data && previous->len && compare_keys(w, *previous, key) >= 0)
        return fail(w, "keys are out of order");
    *previous = key;
    if (!leaf) {
        if (first_of_branch)
            previous->len = 0;
        return walk_page(w, number_at(node, 4) | number_at(node + 4, 2) << 32, depth - 1);
    }
    return leaf_value(w, node, node + NODE_HEAD + key_size, room - key_size, &value) && check_entry(w, key, value);
}

/* `depth`: levels from here down, 1 for leaves. Recursion ends at MAX_DEPTH. */
static bool walk_page(struct walk *w, uint64_t number, unsigned depth)
{
    struct tp_str previous = TP_STR_NULL;
    const uint8_t *page;
    uint16_t flags;
    size_t lower, upper;

    if (!claim(w, number, 1))
        return false;
    page = page_at(w, number, &flags);
    if (!page)
        return false;
    if (flags != (depth == 1 ? PAGE_LEAF : PAGE_BRANCH))
        return fail(w, "a page is of the wrong kind");
    lower = number_at(page + 12, 2);
    upper = number_at(page + 14, 2);
    if (lower < PAGE_HEAD + (depth == 1 ? 2u : 4u) || lower % 2 || lower > upper || upper > w->page_size)
        return fail(w, "a page's bounds are wrong");
    for (size_t i = PAGE_HEAD; i < lower; i += 2) {
        size_t offset = number_at(page + i, 2);

        if (offset < upper || offset + NODE_HEAD > w->page_size)
            return fail(w, "a node lies outside its page");
        if (!walk_node(w, page, offset, depth, &previous))
            return false;
    }
    return true;
}

static bool walk_tree(struct walk *w, const struct tree *tree, int which)
{
    w->which = which;
    w->entries = 0;
    if (tree->root == NO_ROOT)
        return tree->entries == 0 ? true : fail(w, "a tree lost its root");
    if (tree->depth == 0 || tree->depth > MAX_DEPTH)
        return fail(w, "a tree's depth is wrong");
    if (!walk_page(w, tree->root, tree->depth))
        return false;
    return w->entries == tree->entries ? true : fail(w, "rows are missing");
}

static enum tp_err walk_file(int fd, const char *path, const struct head *head, struct tp_diag *diag)
{
    struct walk w = { .page_size = head->page_size, .pages = head->last_page + 1 };
    size_t size = w.pages * w.page_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED) {
        tp_diag_add(diag, path, "cannot map: %m");
        return TP_ERR_IO;
    }
    madvise(map, size, MADV_WILLNEED);
    w.file = map;
    w.seen = tp_calloc(w.pages / 8 + 1, 1);
    if (walk_tree(&w, &head->trees[FREE_PAGES], FREE_PAGES))
        walk_tree(&w, &head->trees[ROWS], ROWS);
    free(w.seen);
    munmap(map, size);
    return w.fault ? damaged(diag, path, w.fault) : TP_OK;
}

enum tp_err tp_inspect_pages(const char *data_path, struct tp_diag *diag)
{
    struct head head;
    int fd;
    enum tp_err err = open_checked(data_path, &fd, &head, diag);

    if (err)
        return err;
    err = walk_file(fd, data_path, &head, diag);
    close(fd);
    return err;
}
