# SPDX-License-Identifier: MIT
callwatch_plugin(reconciliation
  SOURCES reconciliation.c book.c backend.c celery.c action.c samples.c checks.c report.c meta.c status.c message.c runs.c runs_file.c
  LIBRARIES connect-http connect-redis PkgConfig::jansson PkgConfig::libsodium)

callwatch_unit_test(test_plugin_reconciliation_parts
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_reconciliation_parts.c LIBRARIES reconciliation-code)
callwatch_unit_test(test_plugin_reconciliation
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_reconciliation.c ${CMAKE_SOURCE_DIR}/tests/unit/plugin_host.c
  LIBRARIES reconciliation-code callwatch-core)
