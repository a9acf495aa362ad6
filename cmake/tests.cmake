# Unit tests: every test_*.c under tests/unit and src/plugins is a program, run by ctest. Fuzz targets: every
# fuzz_*.c under tests/fuzz; outside the fuzzer build each is linked with a small main that replays its corpus.
enable_testing()

file(GLOB support_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/support/*.c")
list(FILTER support_sources EXCLUDE REGEX "/fuzz_main\\.c$")
if(support_sources)
  add_library(tp_test_support STATIC ${support_sources})
  target_include_directories(tp_test_support PUBLIC "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(tp_test_support PUBLIC tp_plugins)
endif()

file(GLOB_RECURSE test_files CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/unit/test_*.c"
     "${CMAKE_SOURCE_DIR}/src/plugins/*/test_*.c")

# A program of a test or fuzz file: with all that most of them need, and what its includes ask for beyond.
function(turnpike_test_program name file)
  add_executable(${name} ${file})
  target_link_libraries(${name} PRIVATE tp_test_support tp_control)
  file(STRINGS "${file}" cli_includes REGEX "^#include \"cli/")
  if(cli_includes)
    target_link_libraries(${name} PRIVATE tp_cli)
  endif()
  file(STRINGS "${file}" edge_includes REGEX "^#include \"edge/")
  if(edge_includes)
    target_link_libraries(${name} PRIVATE tp_edge_plain)
  endif()
endfunction()

foreach(file ${test_files})
  get_filename_component(name ${file} NAME_WE)
  turnpike_test_program(${name} ${file})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77) # what it needs is not installed
endforeach()

file(GLOB fuzz_files CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c")
foreach(file ${fuzz_files})
  get_filename_component(name ${file} NAME_WE)
  turnpike_test_program(${name} ${file})
  if(TURNPIKE_SANITIZE STREQUAL "fuzzer")
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests/support/fuzz_main.c")
    add_test(NAME ${name} COMMAND ${name} "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
  endif()
endforeach()

# Run by hand: the store on a PostgreSQL of its own.
add_executable(bench_store_postgres EXCLUDE_FROM_ALL tests/bench/store_postgres.c)
target_link_libraries(bench_store_postgres PRIVATE tp_test_support tp_store)
