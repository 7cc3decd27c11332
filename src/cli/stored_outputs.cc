#include "cli/stored_outputs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "base/units.h"
#include "gguf/view_file.h"
#include "quantize/as_stored.h"

namespace trimma {
namespace {

// A second name of a file in the cache, which may be cleared at any time; a copy where the folder
// is on another disk.
Status KeepTextView(const StoredModel& stored, const std::string& cached, const std::string& path) {
  // Made beside it and renamed: what was there stays until the new one is.
  const std::string fresh = fmt::format("{}.trimma-link-{}", path, getpid());
  unlink(fresh.c_str());
  if (link(cached.c_str(), fresh.c_str()) == 0) {
    // Of two names of one file, rename leaves both.
    const bool renamed = rename(fresh.c_str(), path.c_str()) == 0;
    const int err = errno;
    unlink(fresh.c_str());
    if (renamed) return {};
    return ErrnoError("write", path, err);
  }
  return WriteView(stored.view.text, path);
}

std::string Size(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? "?" : FormatBytes(bytes);
}

}  // namespace

Status WriteStoredForms(const OpenedModel& source, const std::string& directory,
                        OptimizeRecord& record, Progress& progress) {
  if (!source.stored) return {};
  const StoredModel& stored = *source.stored;
  WrittenFiles& files = record.files;
  const std::string stem = directory + "/" + StemOf(source);
  const auto tell = [&](const char* what) {
    return [&progress, what](double share) { progress.Update(what, share); };
  };
  for (const std::string& note : ViewNotes(source)) record.notes.push_back(note);
  if (files.model == record.model_path) {
    files.ollama_model = record.model_path;
    files.model = stem + "-text.gguf";
    TRY_STATUS(KeepTextView(stored, source.local.path, files.model));
  } else {
    TRY(const GgufFile made, ReadGguf(files.model));
    TRY(const GgufView whole, AsStored(stored.file, stored.view, made));
    files.ollama_model = fmt::format("{}/{}-ollama.gguf", directory,
                                     std::filesystem::path(files.model).stem().string());
    TRY_STATUS(WriteView(whole, files.ollama_model, {true, tell("putting the encoder back")}));
    record.notes.push_back(fmt::format("for Ollama, with its vision encoder: {} ({})",
                                       files.ollama_model, Size(files.ollama_model)));
  }
  if (stored.view.projector && files.projector.empty()) {
    files.projector = stem + "-mmproj.gguf";
    TRY_STATUS(
        WriteView(*stored.view.projector, files.projector, {true, tell("writing the projector")}));
    record.notes.push_back(fmt::format("its vision encoder as llama-server loads it: {} ({})",
                                       files.projector, Size(files.projector)));
  }
  return {};
}

}  // namespace trimma
