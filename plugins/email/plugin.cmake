# SPDX-License-Identifier: MIT
callwatch_plugin(email
  SOURCES email.c sending.c checks.c letter.c letter_body.c mime.c recipient.c progress.c smtp.c smtp_explain.c
  LIBRARIES connect-curl connect-dial PkgConfig::jansson)
callwatch_unit_test(test_plugin_email_parts SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_email_parts.c
        LIBRARIES email-code)
callwatch_unit_test(test_plugin_email_smtp
  SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/test_plugin_email_smtp.c ${CMAKE_SOURCE_DIR}/tests/unit/plugin_host.c
  LIBRARIES email-code callwatch-core)
