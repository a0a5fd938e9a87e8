# SPDX-License-Identifier: MIT
callwatch_plugin(redis-calls
  SOURCES redis-calls.c samples.c calls.c businesses.c names.c pages.c sweep.c events.c checks.c parse.c wheel.c seen.c
  LIBRARIES connect-redis PkgConfig::jansson PkgConfig::libsodium)
callwatch_unit_test(test_plugin_redis_calls
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_redis_calls.c ${CMAKE_SOURCE_DIR}/tests/unit/plugin_host.c
  LIBRARIES redis-calls-code callwatch-core)
callwatch_unit_test(test_plugin_redis_calls_parts
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_redis_calls_parts.c LIBRARIES redis-calls-code)
