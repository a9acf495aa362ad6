/* A client's first bytes as they trickle in: once there is a verdict, more bytes do not change it. */
#include "edge/first_bytes.h"

#include "turnpike/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int proxy_protocol = 0; proxy_protocol < 2; proxy_protocol++) {
        enum tp_edge_first verdict = TP_EDGE_FIRST_MORE;

        for (size_t n = 0; n <= size && n <= 2048; n++) {
            enum tp_edge_first now = tp_edge_first_bytes(tp_str_make((const char *)data, n), proxy_protocol);

            TP_ASSERT(verdict == TP_EDGE_FIRST_MORE || now == verdict);
            verdict = now;
        }
        TP_ASSERT(size < 2048 || verdict != TP_EDGE_FIRST_MORE);
    }
    return 0;
}
