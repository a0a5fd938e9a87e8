# SPDX-License-Identifier: MIT
callwatch_plugin(collectd-notify SOURCES collectd-notify.c line.c LIBRARIES callwatch-format connect-collectd)
callwatch_unit_test(test_plugin_collectd_notify_parts
        SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_collectd_notify_parts.c LIBRARIES collectd-notify-code)
