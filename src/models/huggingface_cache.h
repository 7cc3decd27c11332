// The cache that Hugging Face's tools and llama.cpp share, read only:
//   <root>/models--<org>--<repo>/refs/main                    a commit
//   <root>/models--<org>--<repo>/snapshots/<commit>/<file>    a link to ../../blobs/<hash>
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/models.h"
#include "models/walk.h"

namespace trimma {

struct HuggingFaceFile {
  std::string repo;   // "user/repo"
  std::string file;   // path inside the snapshot
  std::string quant;  // "Q4_K_M", "" if the name has none
  LocalModel model;   // named "hf:user/repo:QUANT"; with the file instead where QUANT is not unique
};

// Names the models of one repository: "hf:user/repo:QUANT", or with the file.
void NameByQuant(std::vector<HuggingFaceFile>& files);

// Every model of the cache; of a file in several snapshots the one of refs/main.
std::vector<HuggingFaceFile> ListHuggingFace(const std::string& root, Walk& walk);

// The files that "user/repo[:QUANT]" or "repo[:QUANT]" means, in any case of letters. QUANT is a
// type or a file; without it Q4_K_M, then Q8_0, then the first, as llama.cpp chooses. More
// than one: ambiguous.
std::vector<LocalModel> MatchHuggingFace(std::string_view text,
                                         const std::vector<HuggingFaceFile>& files);

// One slash, letters, digits and '_' with single '-', '.' between them, at most 256 bytes.
bool IsHuggingFaceRepo(std::string_view repo);

// 40 hexadecimal digits, as a snapshot is named.
bool IsCommit(std::string_view text);

}  // namespace trimma
