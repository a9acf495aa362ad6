/* The head of an upstream's answer from any bytes, whole and in two pieces: same verdict, all headers inside the text.
 */
#include "edge/upstream_parse.h"

#include "turnpike/err.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum tp_err parse(struct tp_str text, struct tp_edge_head *head, struct tp_header **headers, size_t *count)
{
    size_t size;
    enum tp_err err = tp_edge_head_scan(head, text, &size);

    if (err)
        return err;
    *headers = calloc(head->lines + 1, sizeof(**headers));
    return tp_edge_head_parse(head, tp_str_head(text, size), *headers, head->lines, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tp_str text = tp_str_make((const char *)data, size);
    struct tp_edge_head whole, halves;
    struct tp_header *headers = NULL, *again = NULL;
    size_t count = 0, count_again = 0, unused;
    enum tp_err err;

    tp_edge_head_reset(&whole);
    err = parse(text, &whole, &headers, &count);
    tp_edge_head_reset(&halves);
    if (tp_edge_head_scan(&halves, tp_str_head(text, size / 2), &unused) == TP_ERR_AGAIN) {
        TP_ASSERT(parse(text, &halves, &again, &count_again) == err);
        TP_ASSERT(err || (count == count_again && whole.status == halves.status));
    }
    for (size_t i = 0; !err && i < count; i++) {
        TP_ASSERT(headers[i].name.data >= text.data);
        TP_ASSERT(headers[i].value.data + headers[i].value.len <= text.data + text.len);
    }
    free(headers);
    free(again);
    return 0;
}
