# SPDX-License-Identifier: MIT
callwatch_plugin(slack
  SOURCES slack.c deliver.c message.c words.c answer.c checks.c LIBRARIES connect-http PkgConfig::jansson)

callwatch_unit_test(test_plugin_slack_parts
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_slack_parts.c LIBRARIES slack-code callwatch-core)
callwatch_unit_test(test_plugin_slack
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_slack.c ${CMAKE_SOURCE_DIR}/tests/unit/plugin_host.c
  LIBRARIES slack-code callwatch-core)
