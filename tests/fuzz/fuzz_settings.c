/*
 * A settings file from any bytes: it is read whole, every finding is a text, and what was accepted can be written
 * out as JSON.
 */
#include "base/diag.h"
#include "cli/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const none[] = { NULL };
    struct tp_settings_input input = { .prefix = "/tmp/turnpike-fuzz", .environ_vars = none };
    struct tp_settings *settings = NULL;
    struct tp_diag *diag = tp_diag_new();
    int fd = memfd_create("settings", MFD_CLOEXEC);
    char path[64];

    TP_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    input.file = path;
    if (tp_settings_load(&settings, &input, diag) == TP_OK) {
        json_t *value = tp_settings_json(settings, false);
        char *text = json_dumps(value, 0);

        TP_ASSERT(text);
        free(text);
        json_decref(value);
        tp_settings_free(settings);
    } else {
        TP_ASSERT(tp_diag_count(diag) > 0);
    }
    tp_diag_free(diag);
    close(fd);
    return 0;
}
