# SPDX-License-Identifier: MIT
callwatch_plugin(deadman SOURCES deadman.c well.c LIBRARIES connect-http)
