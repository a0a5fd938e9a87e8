# SPDX-License-Identifier: MIT
callwatch_plugin(postgres-lookup
  SOURCES postgres-lookup.c batch.c examine.c names.c file.c
  LIBRARIES connect-postgres PkgConfig::libsodium)
callwatch_unit_test(test_plugin_postgres_lookup
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_postgres_lookup.c ${CMAKE_SOURCE_DIR}/tests/unit/plugin_host.c
  LIBRARIES postgres-lookup-code callwatch-core)
