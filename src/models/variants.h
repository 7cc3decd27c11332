// Which variants of a model a registry or repository has, with type and size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/download.h"
#include "models/hub.h"
#include "models/registry.h"

namespace trimma {

struct Variant {
  std::string name;  // "ollama:gemma3:4b", "hf:user/repo:Q4_K_M"
  std::string type;  // as the registry's config, or the file's name, says; "" if neither does
  uint64_t file_bytes = 0;
  // A vision or audio projector inside file_bytes; nullopt: can't be told.
  std::optional<bool> projector_inside;
  uint64_t projector_bytes = 0;  // of one beside it; 0: none
};

struct VariantList {
  std::vector<Variant> items;
  std::vector<HuggingFaceFile> hub;  // the items, where they are a repository's
  std::vector<std::string> notes;    // what could not be learnt
};

// Registries that keep their list of tags to themselves (Ollama's own does) are asked for the tags
// that its models usually have, at `tag`'s size; a note says so.
struct TagList {
  std::vector<std::string> tags;
  bool complete = false;  // the registry listed them
};
Result<TagList> ExistingTags(Registry& registry, const std::string& tag);

// The tags that a model of the library would have beside `tag`: "4b-it-q8_0" beside "4b". Pure.
std::vector<std::string> LikelyTags(const std::string& tag);

// kNotFound: "gemma3:4b-q4_0 does not exist at HOST", with those that do.
Error NoSuchTag(Registry& registry);

Result<VariantList> VariantsInRegistry(const OllamaName& name, const DownloadOptions& options);
Result<VariantList> VariantsInHub(const std::string& repo, const HubOptions& hub);

}  // namespace trimma
