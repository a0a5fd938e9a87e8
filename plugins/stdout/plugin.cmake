# SPDX-License-Identifier: MIT
callwatch_plugin(stdout SOURCES stdout.c LIBRARIES callwatch-format)
callwatch_unit_test(test_plugin_stdout SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_stdout.c
        LIBRARIES stdout-code callwatch-core)
