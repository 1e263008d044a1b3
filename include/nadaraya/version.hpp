// The library's version: the build files read these three numbers.
#pragma once

/// Raised when a program may have to change.
#define NADARAYA_VERSION_MAJOR 0
/// Raised by additions.
#define NADARAYA_VERSION_MINOR 1
/// Raised by corrections.
#define NADARAYA_VERSION_PATCH 0

/// One number to compare with: 100 for 0.1.0, 10203 for 1.2.3.
#define NADARAYA_VERSION (NADARAYA_VERSION_MAJOR * 10000 + NADARAYA_VERSION_MINOR * 100 + NADARAYA_VERSION_PATCH)

/// "0.1.0"
#define NADARAYA_VERSION_STRING_OF(major, minor, patch) #major "." #minor "." #patch
/// As NADARAYA_VERSION_STRING_OF, of macros that are expanded first.
#define NADARAYA_VERSION_STRING_WITH(major, minor, patch) NADARAYA_VERSION_STRING_OF(major, minor, patch)
/// The version as text, "0.1.0".
#define NADARAYA_VERSION_STRING \
  NADARAYA_VERSION_STRING_WITH(NADARAYA_VERSION_MAJOR, NADARAYA_VERSION_MINOR, NADARAYA_VERSION_PATCH)
