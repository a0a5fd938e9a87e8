# SPDX-License-Identifier: MIT
#
# What is installed beside programs and plugins, and the two Debian packages made of it:
#
#   callwatch        daemon, client, plugins, vendor configuration, service, man pages, completion, snippets for others
#   callwatch-dev    headers, pkg-config and CMake files for who writes a plugin
#
#     cmake --workflow --preset package      # build/package/callwatch_VERSION_ARCH.deb, …-dev_…
#
# Places are relative to the prefix, /usr in the package; only /etc is absolute there. Programs link what they need, so
# the dependencies are found by dpkg-shlibdeps; the one that is opened at run time is named below.

# ---- files ----

install(DIRECTORY conf.d/ DESTINATION lib/callwatch/conf.d FILES_MATCHING PATTERN "*.yaml")
install(FILES packaging/systemd/callwatch.service DESTINATION lib/systemd/system)
install(FILES packaging/systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME callwatch.conf)
install(FILES docs/operations.md README.md CHANGELOG.md packaging/callwatch.yaml TYPE DOC)
file(GLOB plugin_pages CONFIGURE_DEPENDS plugins/*/README.md) # operations.md sends people there
foreach(page ${plugin_pages})
  cmake_path(GET page PARENT_PATH folder)
  cmake_path(GET folder FILENAME plugin)
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_DOCDIR}/plugins RENAME ${plugin}.md)
endforeach()
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/man)
file(GLOB man_pages CONFIGURE_DEPENDS packaging/man/*.[158])
foreach(page ${man_pages})
  string(REGEX MATCH "[158]$" section ${page})
  get_filename_component(compressed ${page} NAME)
  set(compressed ${CMAKE_BINARY_DIR}/man/${compressed}.gz) # as Debian's policy wants them (12.1), without a time stamp
  execute_process(COMMAND gzip -9nc ${page} OUTPUT_FILE ${compressed} COMMAND_ERROR_IS_FATAL ANY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page})
  install(FILES ${compressed} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
foreach(snippets collectd graphite prometheus grafana)
  if(IS_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/packaging/${snippets})
    install(DIRECTORY packaging/${snippets} DESTINATION ${CMAKE_INSTALL_DATADIR}/callwatch)
  endif()
endforeach()
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/packaging/completion/callwatch.bash)
  install(FILES packaging/completion/callwatch.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
          RENAME callwatch)
endif()

configure_file(packaging/callwatch.pc.in callwatch.pc @ONLY)
install(DIRECTORY include/callwatch TYPE INCLUDE COMPONENT callwatch-dev)
install(FILES docs/plugin-guide.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/callwatch-dev COMPONENT callwatch-dev)
install(DIRECTORY docs/example DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/callwatch-dev COMPONENT callwatch-dev)
install(FILES ${CMAKE_BINARY_DIR}/callwatch.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig COMPONENT callwatch-dev)
install(FILES packaging/callwatch-config.cmake DESTINATION ${CMAKE_INSTALL_DATADIR}/cmake/callwatch
        COMPONENT callwatch-dev)

# ---- packages ----

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME callwatch)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "callwatch developers <callwatch@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL callwatch callwatch-dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_CALLWATCH_PACKAGE_NAME callwatch)
set(CPACK_DEBIAN_CALLWATCH_PACKAGE_SECTION net)
set(CPACK_DEBIAN_CALLWATCH_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CALLWATCH_PACKAGE_DEPENDS
    "libwebsockets-evlib-uv, tzdata, init-system-helpers (>= 1.54), systemd | systemd-standalone-sysusers")
set(CPACK_DEBIAN_CALLWATCH_PACKAGE_SUGGESTS "redis-server, collectd-core, graphite-carbon, prometheus")
set(CPACK_COMPONENT_CALLWATCH_DESCRIPTION
    "monitoring agent of a voice platform's active calls
callwatchd reads the calls that are in progress from Redis, gently, and keeps
a table of them that is true. It feeds collectd, Graphite and Prometheus, and
the command callwatch shows calls, states and reasons in a terminal. What it
does is done by plugins, set up in YAML.")
set(CPACK_DEBIAN_CALLWATCH_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/packaging/debian/conffiles ${CMAKE_SOURCE_DIR}/packaging/debian/postinst
    ${CMAKE_SOURCE_DIR}/packaging/debian/prerm ${CMAKE_SOURCE_DIR}/packaging/debian/postrm)

set(CPACK_DEBIAN_CALLWATCH-DEV_PACKAGE_NAME callwatch-dev)
set(CPACK_DEBIAN_CALLWATCH-DEV_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_CALLWATCH-DEV_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_CALLWATCH-DEV_PACKAGE_SUGGESTS "callwatch, libuv1-dev")
set(CPACK_COMPONENT_CALLWATCH-DEV_DESCRIPTION
    "headers for plugins of the monitoring agent callwatch
The contract between callwatchd and its plugins as C headers, with pkg-config
and CMake files, a guide and an example. A plugin links nothing of callwatch.")

# What only the package has: Debian's copyright and change log, and the file in /etc that is the administrator's.
foreach(package callwatch callwatch-dev)
  install(FILES packaging/debian/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${package})
  install(FILES ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package}
          COMPONENT ${package})
endforeach()
string(TIMESTAMP changelog_date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH
configure_file(packaging/debian/changelog.in changelog @ONLY)
execute_process(COMMAND gzip -9nc ${CMAKE_BINARY_DIR}/changelog OUTPUT_FILE ${CMAKE_BINARY_DIR}/changelog.gz
                COMMAND_ERROR_IS_FATAL ANY)
# /etc/credstore is where the service's secrets are; systemd 252 looks there and does not make it.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  install(FILES packaging/debian/50-callwatch.yaml DESTINATION /etc/callwatch/conf.d)
  install(DIRECTORY DESTINATION /etc/credstore DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
endif()
include(CPack)
