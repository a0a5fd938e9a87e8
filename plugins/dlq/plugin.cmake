# SPDX-License-Identifier: MIT
callwatch_plugin(dlq
  SOURCES dlq.c look.c pass.c align.c queue.c letters.c groups.c joins.c actions.c scripts.c trash.c samples.c checks.c message.c normalise.c
  LIBRARIES connect-redis PkgConfig::jansson PkgConfig::libsodium)
callwatch_unit_test(test_plugin_dlq_parts
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_dlq_parts.c LIBRARIES dlq-code)
