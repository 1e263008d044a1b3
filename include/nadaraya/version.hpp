// The library's version: the build files read these three numbers.
#pragma once

#define NADARAYA_VERSION_MAJOR 0
#define NADARAYA_VERSION_MINOR 1
#define NADARAYA_VERSION_PATCH 0

/// One number to compare with: 100 for 0.1.0, 10203 for 1.2.3.
#define NADARAYA_VERSION (NADARAYA_VERSION_MAJOR * 10000 + NADARAYA_VERSION_MINOR * 100 + NADARAYA_VERSION_PATCH)
