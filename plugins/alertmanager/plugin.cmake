# SPDX-License-Identifier: MIT
callwatch_plugin(alertmanager SOURCES alertmanager.c collect.c members.c LIBRARIES connect-http PkgConfig::libsodium)
