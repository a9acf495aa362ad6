# One static library a folder of src/: tp_base, tp_model, … . A folder links those below it (design: the
# arrow of includes). Lists of things are the folders: nothing is kept by hand.

# Every .c of a folder but its unit tests.
function(turnpike_folder name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.c")
  list(FILTER sources EXCLUDE REGEX "/test_[^/]*\\.c$")
  if(NOT sources)
    file(WRITE "${CMAKE_BINARY_DIR}/generated/empty_${name}.c" "typedef int tp_empty_${name};\n")
    set(sources "${CMAKE_BINARY_DIR}/generated/empty_${name}.c")
  endif()
  add_library(tp_${name} STATIC ${sources} ${ARGN})
endfunction()

# A C file that lists `symbol_prefix`<stem> for every stem: extern declarations and a table.
function(turnpike_table out header type table count symbol_prefix)
  set(text "/* Made by the build from the folder: do not edit. */\n#include \"${header}\"\n\n")
  foreach(stem ${ARGN})
    string(APPEND text "extern const struct ${type} ${symbol_prefix}${stem};\n")
  endforeach()
  string(APPEND text "\n${table} = {\n")
  foreach(stem ${ARGN})
    string(APPEND text "    &${symbol_prefix}${stem},\n")
  endforeach()
  list(LENGTH ARGN n)
  string(APPEND text "    NULL,\n};\n${count}\n")
  string(REPLACE "@COUNT@" "${n}" text "${text}")
  file(CONFIGURE OUTPUT "${out}" CONTENT "${text}" @ONLY)
endfunction()

# Entities: src/model/entities/<table name>.c defines tp_entity_<table name>.
file(GLOB entity_files CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/model/entities/*.c")
set(entities "")
foreach(file ${entity_files})
  get_filename_component(stem ${file} NAME_WE)
  list(APPEND entities ${stem})
endforeach()
list(SORT entities)
turnpike_table("${CMAKE_BINARY_DIR}/generated/entities.c" "model/entity.h" "tp_entity"
               "const struct tp_entity *const tp_entities[]" "const size_t tp_entity_count = @COUNT@;"
               "tp_entity_" ${entities})

# Plugins: src/plugins/<folder>/ defines tp_plugin_<folder>.
file(GLOB plugin_files CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/plugins/*/*.c")
set(plugins "")
foreach(file ${plugin_files})
  get_filename_component(folder ${file} DIRECTORY)
  get_filename_component(folder ${folder} NAME)
  list(APPEND plugins ${folder})
endforeach()
list(REMOVE_DUPLICATES plugins)
list(SORT plugins)
turnpike_table("${CMAKE_BINARY_DIR}/generated/plugins.c" "plugins/registry.h" "tp_plugin"
               "static const struct tp_plugin *const table[]"
               "const struct tp_registry tp_bundled_plugins = { table, @COUNT@ };"
               "tp_plugin_" ${plugins})

turnpike_folder(base)
target_link_libraries(tp_base PUBLIC PkgConfig::libsodium PkgConfig::openssl Threads::Threads m)
turnpike_folder(model "${CMAKE_BINARY_DIR}/generated/entities.c")
target_link_libraries(tp_model PUBLIC tp_base PkgConfig::jansson PkgConfig::libpcre2_8)
turnpike_folder(store)
target_link_libraries(tp_store PUBLIC tp_model PkgConfig::sqlite3 PkgConfig::libpq)
turnpike_folder(plan)
target_link_libraries(tp_plan PUBLIC tp_model ${LMDB_LIBRARY})
turnpike_folder(quota)
target_link_libraries(tp_quota PUBLIC tp_plan)
turnpike_folder(gateway)
target_link_libraries(tp_gateway PUBLIC tp_quota PkgConfig::libpcre2_8 PkgConfig::hiredis PkgConfig::luajit)
turnpike_folder(plugins "${CMAKE_BINARY_DIR}/generated/plugins.c")
target_link_libraries(tp_plugins PUBLIC tp_gateway)
turnpike_folder(control)
target_link_libraries(tp_control PUBLIC tp_store tp_plugins PkgConfig::libmicrohttpd PkgConfig::libcurl
                      PkgConfig::yaml_0_1)

# The command: all but main.c is a library, for the unit tests.
turnpike_folder(cli)
get_target_property(cli_sources tp_cli SOURCES)
list(FILTER cli_sources EXCLUDE REGEX "/main\\.c$")
set_target_properties(tp_cli PROPERTIES SOURCES "${cli_sources}")
target_link_libraries(tp_cli PUBLIC tp_control ${LMDB_LIBRARY})
if(EXISTS "${CMAKE_SOURCE_DIR}/src/cli/main.c")
  add_executable(turnpike "${CMAKE_SOURCE_DIR}/src/cli/main.c")
  target_link_libraries(turnpike PRIVATE tp_cli)
endif()
# The nginx module: cmake/module.cmake.
