// The test program's entrance: it may also be started as a child of itself (base/child.h).
#include <gtest/gtest.h>

#include <cstring>

#include "base/child.h"

#ifdef TRIMMA_HAS_JOBS
#include "cli/jobs.h"
#endif

int main(int argc, char** argv) {
#ifdef TRIMMA_HAS_JOBS
  if (argc == 3 && std::strcmp(argv[1], trimma::kChildArgument) == 0)
    return trimma::RunJob(argv[2]);
#endif
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
