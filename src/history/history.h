// What was measured on this machine, when, and with what: one SQLite file in the state directory.
//
// Each run of a command that measures or makes something is a row: its document as it was printed,
// a summary in one line, and what the result rests on. A row is there wholly or not at all,
// whatever crashes; processes take turns. A file that is damaged, or none of ours, is renamed and a
// new one begun, which notes() says.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "history/provenance.h"
#include "history/sqlite.h"

namespace trimma {

struct HistoryEntry {
  int64_t id = 0;          // given by Append, counting up, never used again
  std::string time;        // RFC 3339, UTC: "2026-11-26T20:15:00Z"
  std::string command;     // "measure"
  std::string model_path;  // absolute
  Provenance provenance;
  std::string trimma_version;
  std::string summary;   // one line
  std::string document;  // JSON
};

struct HistoryFilter {
  std::string command;           // "": any
  std::string model;             // part of its path, in any case; "": any
  std::optional<int64_t> limit;  // the newest so many
};

class History {
 public:
  static std::string DefaultPath();  // "" without a home

  // An append takes as long as the disk needs for a few synchronisations: milliseconds, or seconds
  // where it is busy with something else. SQLite's locks are not handed out in turn.
  static constexpr int kUsualPatienceMs = 20000;

  // Makes the file, and the directory, where they are absent. kFailure where a newer trimma wrote
  // it. Whoever has to wait for another process does so for `patience_ms`, each time, or until an
  // interrupt.
  static Result<History> Open(const std::string& path = DefaultPath(),
                              int patience_ms = kUsualPatienceMs);
  // To look only: nothing is made, brought to this version, renamed or mended. kInvalid where it is
  // damaged, kFailure where another version of trimma wrote it.
  static Result<History> OpenToRead(const std::string& path, int patience_ms = kUsualPatienceMs);
  History(History&&) noexcept;
  History& operator=(History&&) = delete;
  ~History();

  Result<int64_t> Append(const HistoryEntry& entry);
  // The newest first, without their documents.
  Result<std::vector<HistoryEntry>> List(const HistoryFilter& filter);
  Result<std::optional<HistoryEntry>> Find(int64_t id);
  // The newest of this command by trimma's own engine (a document without "through"), about the
  // file of this path, or about one with the same quick hash that lay elsewhere; of those that
  // `accept` takes, by the document.
  Result<std::optional<HistoryEntry>> Newest(
      const std::string& command, const std::string& model_path, const std::string& model_quick,
      const std::function<bool(const std::string& document)>& accept = {});
  Result<int64_t> Forget(int64_t id);                     // how many rows went: 0 or 1
  Result<int64_t> ForgetBefore(const std::string& time);  // older than this moment

  // What happened to the file that its owner should know.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  History(std::string path, int patience_ms) : path_(std::move(path)), patience_ms_(patience_ms) {}
  Status Connect();
  Status Prepare();
  Status SetAside();
  Status Lock(int how);
  template <typename Work>
  auto Mended(const Work& work) -> decltype(work());
  Result<std::vector<HistoryEntry>> Select(Statement& statement);

  std::string path_;
  int patience_ms_;
  bool read_only_ = false;
  int lock_ = -1;  // held shared while the file is open; exclusive to rename it
  std::optional<Database> database_;
  std::vector<std::string> notes_;
};

// A moment as the history writes it; `seconds` since 1970.
std::string HistoryTime(int64_t seconds);

}  // namespace trimma
