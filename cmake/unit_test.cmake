# sandcastle_unit_test(NAME SOURCES file... LIBS lib... [DEFINES name=value...]): one Criterion
# binary, label "unit". The target is not there in every build: what belongs to it goes in here.
# A leak is printed but does not fail the test by itself, hence the expression. Criterion
# does not start under TSan: threads are tested by plain programs (sandcastle_stress_test). It says
# which tests were skipped only with --verbose.
function(sandcastle_unit_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LIBS;DEFINES" ${ARGN})
  if(SANDCASTLE_SANITIZE STREQUAL "thread")
    return()
  endif()
  pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET GLOBAL criterion)
  add_executable(unit_${name} ${T_SOURCES} ${CMAKE_SOURCE_DIR}/tests/support/no_libgit2.c)
  target_link_libraries(unit_${name} PRIVATE ${T_LIBS} PkgConfig::CRITERION)
  # With a sanitizer, Criterion's macros take the optimizer longer than the tests then run.
  if(SANDCASTLE_SANITIZE)
    target_compile_options(unit_${name} PRIVATE -O0)
  endif()
  target_compile_definitions(unit_${name} PRIVATE ${T_DEFINES})
  add_test(NAME unit_${name} COMMAND unit_${name} --verbose --timeout 20 -j2)
  set_tests_properties(unit_${name} PROPERTIES LABELS unit TIMEOUT 300
    FAIL_REGULAR_EXPRESSION "LeakSanitizer|AddressSanitizer|ThreadSanitizer|runtime error")
endfunction()

# All of them and what they run: what the TSan build is for.
add_custom_target(stress)

# A plain main() program with threads; its exit code is the result. Meant for TSan, runs in all builds.
function(sandcastle_stress_test name)
  cmake_parse_arguments(T "" "" "SOURCES;LIBS;ARGS" ${ARGN})
  add_executable(stress_${name} ${T_SOURCES})
  target_link_libraries(stress_${name} PRIVATE ${T_LIBS} Threads::Threads)
  add_dependencies(stress stress_${name})
  add_test(NAME stress_${name} COMMAND stress_${name} ${T_ARGS})
  set_tests_properties(stress_${name} PROPERTIES LABELS stress TIMEOUT 120
    FAIL_REGULAR_EXPRESSION "LeakSanitizer|AddressSanitizer|ThreadSanitizer|runtime error")
endfunction()

# All of them: what the build for coverage is for.
add_custom_target(fuzz)

# A libFuzzer target: bytes in, no KVM. Built with clang's ASan, and for coverage. With CLOCK, time
# passes as the input says (tests/fuzz/fuzz_clock.h).
function(sandcastle_fuzz name)
  cmake_parse_arguments(T "CLOCK" "" "SOURCES;LIBS" ${ARGN})
  if(NOT SANDCASTLE_FUZZ)
    return()
  endif()
  add_executable(fuzz_${name} ${T_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE ${T_LIBS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  if(T_CLOCK)
    target_sources(fuzz_${name} PRIVATE fuzz_clock.c)
    target_link_options(fuzz_${name} PRIVATE LINKER:--wrap=clock_gettime,--wrap=timerfd_settime)
  endif()
  add_dependencies(fuzz fuzz_${name})
endfunction()
