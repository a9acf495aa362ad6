/* What all calls share: call.h. */
#include "control/admin/call.h"

#include "control/admin/dispatch.h"
#include "control/admin/plugins.h"

#include <unistd.h>

void tp_admin_context_init(struct tp_admin_context *context, const struct tp_admin_options *options)
{
    *context = (struct tp_admin_context){ .options = *options };
    context->endpoints = tp_admin_endpoints_new();
    tp_admin_plugins_init(&context->plugins, options->plugins);
    if (gethostname(context->hostname, sizeof(context->hostname) - 1) != 0)
        context->hostname[0] = '\0';
}

void tp_admin_context_fini(struct tp_admin_context *context)
{
    tp_admin_endpoints_free(context->endpoints);
    tp_admin_plugins_fini(&context->plugins);
    context->endpoints = NULL;
}
