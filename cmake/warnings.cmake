# All warnings are errors, with both compilers, everywhere.
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wcast-qual -Wshadow
  -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
  -fno-common -fstack-protector-strong)

if(SANDCASTLE_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(SANDCASTLE_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(SANDCASTLE_SANITIZE STREQUAL "coverage")
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()
if(SANDCASTLE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_compile_definitions(SANDCASTLE_FUZZ)
endif()
