# What is installed, and the Debian package that CPack makes of it (scripts/package.sh).
include(GNUInstallDirs)
set(docs ${CMAKE_INSTALL_DATADIR}/doc/llm-proxy)
install(TARGETS llm-proxy RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES config/systemd/llm-proxy.service config/systemd/llm-proxy.socket DESTINATION lib/systemd/system)
# Holds secrets; systemd reads it before it drops its rights.
install(FILES config/systemd/llm-proxy.env DESTINATION /etc/llm-proxy PERMISSIONS OWNER_READ OWNER_WRITE)
install(FILES README.md README.ru.md CHANGELOG.md LICENSE config/debian/copyright DESTINATION ${docs})
install(FILES docs/llm-proxy.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES config/completion/llm-proxy.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME llm-proxy)
install(FILES config/completion/_llm-proxy DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(DIRECTORY docs/ DESTINATION ${docs}/docs FILES_MATCHING PATTERN "*.md" PATTERN "*.png")
install(FILES .env.example DESTINATION ${docs} RENAME env.example)
install(DIRECTORY config/litellm config/haproxy config/kubernetes config/grafana config/prometheus
  DESTINATION ${docs}/examples)
install(FILES compose.yaml DESTINATION ${docs})
# Links to sources and tests would point nowhere.
install(CODE "
  execute_process(COMMAND python3 \"${PROJECT_SOURCE_DIR}/scripts/installed-docs.py\"
    \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${docs}\" RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR \"a link of an installed document points nowhere (above), or there is no python3\")
  endif()")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME llm-proxy)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "llm-proxy maintainers <llm-proxy@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "OpenAI-compatible API in front of a LiteLLM proxy")
set(CPACK_PACKAGE_DESCRIPTION "A long-running service that guards a LiteLLM proxy by an internal key and passes on
chat completions, embeddings and the other endpoints, streams and tool calls intact.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# For https upstreams.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(debian ${PROJECT_SOURCE_DIR}/config/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
include(CPack)
