# SPDX-License-Identifier: MIT
callwatch_plugin(graphite SOURCES graphite.c flight.c lines.c relay.c
        LIBRARIES callwatch-format connect-dial PkgConfig::libsodium)
callwatch_unit_test(test_plugin_graphite_parts
        SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_graphite_parts.c LIBRARIES graphite-code callwatch-core)
callwatch_unit_test(test_plugin_graphite
        SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_graphite.c ${CMAKE_SOURCE_DIR}/tests/unit/plugin_host.c
        LIBRARIES graphite-code callwatch-core)
