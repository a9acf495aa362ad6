/*
 * make_read_model DIR FILE.json: a read model without control, for benchmarks and for tests of the module alone.
 *
 * FILE.json holds complete entities by table name: {"services": [{…}], "routes": [{…}], …}.
 */
#include "base/diag.h"
#include "plan/read_model.h"

#include <stdio.h>

static enum tp_err add_all(struct tp_read_model_builder *builder, const json_t *root, struct tp_diag *diag)
{
    const char *entity;
    json_t *list, *value;
    size_t i;

    json_object_foreach((json_t *)root, entity, list) {
        json_array_foreach(list, i, value) {
            enum tp_err err = tp_read_model_build_add(builder, entity, value, diag);

            if (err)
                return err;
        }
    }
    return TP_OK;
}

static enum tp_err build(const char *dir, const json_t *root, struct tp_diag *diag)
{
    struct tp_uuid database = tp_uuid_random();
    struct tp_read_model_builder *builder;
    enum tp_err err = tp_read_model_build_begin(&builder, dir, (uint64_t)4 << 30, &database, 1, diag);

    if (err)
        return err;
    err = add_all(builder, root, diag);
    if (!err)
        return tp_read_model_build_end(builder, diag);
    tp_read_model_build_abort(builder);
    return err;
}

int main(int argc, char **argv)
{
    struct tp_diag *diag = tp_diag_new();
    json_error_t where;
    json_t *root = argc == 3 ? json_load_file(argv[2], 0, &where) : NULL;
    enum tp_err err = TP_ERR_INVALID;

    if (argc != 3)
        fprintf(stderr, "usage: %s DIR FILE.json\n", argv[0]);
    else if (!json_is_object(root))
        fprintf(stderr, "%s:%d: %s\n", argv[2], where.line, where.text);
    else
        err = build(argv[1], root, diag);
    if (err && tp_diag_count(diag))
        fprintf(stderr, "%s\n", tp_diag_text(diag));
    json_decref(root);
    tp_diag_free(diag);
    return err ? 1 : 0;
}
