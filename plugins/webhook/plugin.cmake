# SPDX-License-Identifier: MIT
callwatch_plugin(webhook
  SOURCES webhook.c deliver.c body.c sign.c checks.c LIBRARIES connect-http PkgConfig::jansson PkgConfig::libsodium)

callwatch_unit_test(test_plugin_webhook
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_webhook.c ${CMAKE_SOURCE_DIR}/tests/unit/plugin_host.c
  LIBRARIES webhook-code callwatch-core)
