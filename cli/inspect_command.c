#include "cli/cli.h"

#include "cli/inspect.h"

int cli_inspect(const cli_t *cli, error_t *error)
{
    return inspect_run(config_text(cli->config, "indices"),
                       (uint32_t)config_integer(cli->config, "dimension"),
                       config_switch(cli->config, "json"), cli->out, error);
}
