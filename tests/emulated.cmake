# Processors of other years, emulated by qemu (Debian: qemu-user-static), where it is installed: the
# tier chosen is theirs, and nothing before, in or after the choice needs an instruction that they
# lack. By hand: qemu-x86_64-static -cpu Nehalem build/release/tests/test_engine
find_program(NADARAYA_QEMU NAMES qemu-x86_64-static qemu-x86_64 DOC "qemu for programs of x86-64")
# A build that may use what this machine has, or that a sanitizer watches, need not run there.
if(NOT NADARAYA_QEMU OR CMAKE_CROSSCOMPILING OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" OR
    CMAKE_CXX_FLAGS MATCHES "-march|-mavx|-fsanitize")
  return()
endif()
# Sweeps of one loop, and thousands of keys whose loops other cases run, need not be emulated; threads, fork and limits of memory
# are the host's there.
set(filter_of_engine "~[pool]~[few]~[sweep]")
set(tier_of_Haswell avx2)
set(tier_of_Nehalem baseline)
foreach(cpu Haswell Nehalem)
  foreach(name simd engine entmax)
    add_test(NAME emulated/${cpu}/${name} COMMAND "${NADARAYA_QEMU}" -cpu ${cpu} $<TARGET_FILE:test_${name}>
      ${filter_of_${name}})
    set_tests_properties(emulated/${cpu}/${name} PROPERTIES LABELS "emulated;long" TIMEOUT 600
      ENVIRONMENT NADARAYA_EXPECTED_TIER=${tier_of_${cpu}})
    if(name STREQUAL engine)
      set_tests_properties(emulated/${cpu}/${name} PROPERTIES COST 200)  # first: the longest of all
    endif()
  endforeach()
endforeach()
