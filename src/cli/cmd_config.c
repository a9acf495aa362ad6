/* config show, config list. */
#include "cli/commands.h"
#include "cli/settings.h"

#include <stdio.h>
#include <stdlib.h>

static void show_text(const struct tp_settings *settings)
{
    struct tp_setting_view view;
    char origin[512];

    for (size_t i = 0; tp_settings_at(settings, i, &view); i++) {
        const char *value = view.value ? view.setting->secret ? "******" : view.value : "";

        tp_settings_origin_text(settings, &view, origin, sizeof(origin));
        printf("%s = %s  # %s%s\n", view.setting->name, value, origin,
               view.setting->use == TP_SETTING_ACCEPTED ? "; without effect here" : "");
    }
}

int tp_cmd_config_show(const struct tp_args *args)
{
    struct tp_settings_input input = tp_args_settings(args);
    struct tp_diag *diag = tp_diag_new();
    struct tp_settings *settings = NULL;
    int status = 0;

    if (tp_settings_load(&settings, &input, diag)) {
        status = tp_fail(diag);
    } else if (tp_args_get(args, "json")) {
        json_t *object = tp_settings_json(settings, false);

        json_dumpf(object, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
        putchar('\n');
        json_decref(object);
    } else {
        show_text(settings);
    }
    tp_settings_free(settings);
    tp_diag_free(diag);
    return status;
}

static const char *type_name(enum tp_setting_type type)
{
    static const char *const names[] = {
        [TP_SETTING_TEXT] = "text",         [TP_SETTING_LIST] = "list",       [TP_SETTING_NUMBER] = "number",
        [TP_SETTING_BOOLEAN] = "on or off", [TP_SETTING_ONOFF] = "on or off", [TP_SETTING_ENUM] = "one of",
        [TP_SETTING_BYTES] = "size",
    };

    return names[type];
}

static void list_one(const struct tp_setting *s)
{
    printf("%s (%s", s->name, type_name(s->type));
    for (size_t i = 0; s->one_of && s->one_of[i]; i++)
        printf("%s %s", i ? "," : "", s->one_of[i]);
    printf(")%s\n    %s\n    default: %s\n", s->secret ? ", secret" : "", s->about, s->def ? s->def : "unset");
}

int tp_cmd_config_list(const struct tp_args *args)
{
    static const struct {
        enum tp_setting_use use;
        const char *title;
    } parts[] = {
        { TP_SETTING_USED, "Settings that mean what they mean in Kong" },
        { TP_SETTING_OURS, "Settings of Turnpike's own" },
        { TP_SETTING_ACCEPTED, "Kong's settings that are accepted and have no effect here" },
    };

    (void)args;
    for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
        printf("# %s\n\n", parts[p].title);
        for (size_t i = 0; i < tp_setting_count; i++) {
            if (tp_setting_table[i].use != parts[p].use)
                continue;
            if (parts[p].use == TP_SETTING_ACCEPTED)
                printf("%s\n", tp_setting_table[i].name);
            else
                list_one(&tp_setting_table[i]);
        }
        putchar('\n');
    }
    printf("# Directives for nginx: nginx_<block>_<directive> = arguments\n\nblocks:");
    for (size_t i = 0; tp_directive_blocks[i]; i++)
        printf(" %s", tp_directive_blocks[i]);
    putchar('\n');
    return 0;
}
