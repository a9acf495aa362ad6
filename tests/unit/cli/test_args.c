/* The command line. */
#include "cli/args.h"
#include "support/test.h"

static int run_nothing(const struct tp_args *args)
{
    (void)args;
    return 0;
}

static const struct tp_option quit_options[] = { { "timeout", 't', "SECONDS", "x" },
                                                 { "force", 'f', NULL, "x" },
                                                 { 0 } };

/* The program's own table is in main.c, which is not part of the library. */
const struct tp_command tp_commands[] = {
    { "quit", NULL, 0, 0, "x", NULL, quit_options, false, run_nothing },
    { "config", "[FILE]", 0, 1, "x", NULL, NULL, false, run_nothing },
    { "config show", NULL, 0, 0, "x", NULL, NULL, false, run_nothing },
    { "import", "FILE", 1, 1, "x", NULL, NULL, false, run_nothing },
    { 0 },
};

static struct tp_args args;

static bool parse(int argc, const char *const *argv)
{
    return tp_args_parse(&args, argc, (char **)argv, NULL);
}
#define PARSE(...)                                                                                                     \
    parse((int)(sizeof((const char *[]){ "turnpike", __VA_ARGS__ }) / sizeof(char *)),                                 \
          (const char *[]){ "turnpike", __VA_ARGS__, NULL })

TEST(options_may_be_long_short_or_joined)
{
    CHECK(PARSE("quit", "-p", "/x", "--timeout=5", "-f"));
    CHECK_STR(tp_args_get(&args, "prefix"), "/x");
    CHECK_STR(tp_args_get(&args, "timeout"), "5");
    CHECK_STR(tp_args_get(&args, "force"), "");
    CHECK(tp_args_get(&args, "conf") == NULL);
    CHECK(PARSE("quit", "--prefix", "/y", "--prefix", "/z"));
    CHECK_STR(tp_args_get(&args, "prefix"), "/z");
}

TEST(two_words_make_a_command_before_one)
{
    CHECK(PARSE("config", "show"));
    CHECK_STR(args.command->name, "config show");
    CHECK(PARSE("config", "x.conf"));
    CHECK_STR(args.command->name, "config");
    CHECK_STR(args.parameters[0], "x.conf");
}

TEST(mistakes_are_refused)
{
    CHECK(!PARSE("fly"));
    CHECK(!PARSE("quit", "--nope"));
    CHECK(!PARSE("quit", "-t"));
    CHECK(!PARSE("quit", "--force=1"));
    CHECK(!PARSE("quit", "word"));
    CHECK(!PARSE("quit", "-tf", "1"));
    CHECK(!PARSE("import"));
    CHECK(PARSE("import", "--help"));
    CHECK(PARSE("import", "-")); /* standard input */
    CHECK(!parse(1, (const char *[]){ "turnpike", NULL }));
}

TEST(seconds_are_numbers)
{
    double seconds;

    CHECK(PARSE("quit", "-t", "2.5"));
    CHECK(tp_args_seconds(&args, "timeout", 10, &seconds) && seconds == 2.5);
    CHECK(tp_args_seconds(&args, "wait", 3, &seconds) && seconds == 3);
    CHECK(PARSE("quit", "-t", "-1"));
    CHECK(!tp_args_seconds(&args, "timeout", 10, &seconds));
    CHECK(PARSE("quit", "-t", "soon"));
    CHECK(!tp_args_seconds(&args, "timeout", 10, &seconds));
}
