# SPDX-License-Identifier: MIT
callwatch_plugin(alertmanager SOURCES alertmanager.c collect.c members.c told.c LIBRARIES connect-http PkgConfig::libsodium)
callwatch_unit_test(test_plugin_alertmanager_told
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_alertmanager_told.c LIBRARIES alertmanager-code)
