/* SPDX-License-Identifier: MIT
 *
 * Where plugins are looked for without a daemon: where callwatchd would look, `agent.plugin_dir` of its configuration.
 */
#ifndef CALLWATCH_CLIENT_PLUGIN_DIRECTORIES_H
#define CALLWATCH_CLIENT_PLUGIN_DIRECTORIES_H

struct config;

/* Does nothing where the configuration does not say; the loader's default stays. */
void plugin_directories_use(const struct config *config);
/* Reads the configuration just for that; what is wrong with it is not said. NULL: the default paths. */
void plugin_directories_read(const char *const *config_paths);

#endif
