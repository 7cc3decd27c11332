// libFuzzer: any bytes as what registries and repositories say; what is accepted can become paths
// and reservations.
#include <cstddef>
#include <cstdint>
#include <string>

#include "models/hub.h"
#include "models/registry.h"
#include "models/store_folder.h"
#include "net/headers.h"
#include "net/sha256.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trimma;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto manifest = ParseRegistryManifest(text); manifest.ok()) {
    CHECK(manifest->text == text);
    for (const RegistryLayer& blob : manifest->Blobs()) {
      CHECK(IsSha256Hex(blob.sha256));
      CHECK(blob.bytes <= manifest->bytes());
    }
    CHECK(manifest->Find("model") != nullptr);
  } else {
    CHECK(manifest.error().code == Code::kInvalid);
  }
  if (const auto files = ParseHubTree(text); files.ok()) {
    HubListing listing{"u/m", "", *files};
    for (const HubFile& file : *files) {
      CHECK(IsSafeSubpath(file.path));
      CHECK(file.sha256.empty() || IsSha256Hex(file.sha256));
    }
    (void)ModelsOf(listing);
  }
  if (const auto commit = ParseHubRefs(text); commit.ok()) CHECK(commit->size() == 40);
  (void)ParseRegistryConfig(text);
  if (const auto range = ParseContentRange(text)) CHECK(range->first <= range->last);
  if (const auto challenge = ParseBearerChallenge(text)) CHECK(!challenge->realm.empty());
  (void)NextPage(text);
  return 0;
}
