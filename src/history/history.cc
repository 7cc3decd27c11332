#include "history/history.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/text.h"

namespace trimma {
namespace {

// "trim" in ASCII: file(1) and we recognise the file by it.
constexpr int64_t kApplication = 0x7472696d;

// What takes a file of version i to version i + 1. Never change one that was released: add one.
constexpr std::array kMigrations = {
    R"(CREATE TABLE runs (
         id INTEGER PRIMARY KEY AUTOINCREMENT,
         time TEXT NOT NULL,
         command TEXT NOT NULL,
         model_path TEXT NOT NULL,
         model_quick TEXT NOT NULL,
         model_sha256 TEXT NOT NULL,
         machine TEXT NOT NULL,
         engine_commit TEXT NOT NULL,
         driver TEXT NOT NULL,
         trimma_version TEXT NOT NULL,
         summary TEXT NOT NULL,
         document TEXT NOT NULL);
       CREATE INDEX runs_by_command ON runs (command, model_path);)",
};
constexpr auto kVersion = static_cast<int64_t>(kMigrations.size());

// Documents are large: lists leave them out.
constexpr const char* kColumns =
    "id, time, command, model_path, model_quick, model_sha256, machine, engine_commit, driver, "
    "trimma_version, summary";

HistoryEntry EntryOf(const Statement& row) {
  HistoryEntry entry;
  entry.id = row.Integer(0);
  entry.time = row.Text(1);
  entry.command = row.Text(2);
  entry.model_path = row.Text(3);
  entry.provenance.model_quick = row.Text(4);
  entry.provenance.model_sha256 = row.Text(5);
  entry.provenance.machine = row.Text(6);
  entry.provenance.engine_commit = row.Text(7);
  entry.provenance.driver = row.Text(8);
  entry.trimma_version = row.Text(9);
  entry.summary = row.Text(10);
  return entry;
}

struct Head {
  int64_t application = 0;
  int64_t version = 0;
  int64_t tables = 0;
};

// In one statement, or what another process is just making would be seen in part, and taken for
// someone else's.
Result<Head> ReadHead(Database& database) {
  TRY(Statement head,
      database.Prepare("SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
                       "FROM pragma_application_id, pragma_user_version"));
  TRY(const bool row, head.Step());
  if (!row) return Error{Code::kInvalid, "the history has no header", ""};
  return Head{head.Integer(0), head.Integer(1), head.Integer(2)};
}

bool IsDamage(const Error& error) { return error.code == Code::kInvalid; }

// A name that is free: the time, and a number where that is taken.
std::string NameAside(const std::string& path) {
  const std::string stamp = HistoryTime(std::time(nullptr));
  for (int i = 1;; ++i) {
    const std::string name = i == 1 ? fmt::format("{}.damaged-{}", path, stamp)
                                    : fmt::format("{}.damaged-{}-{}", path, stamp, i);
    if (!std::filesystem::exists(name)) return name;
  }
}

}  // namespace

std::string HistoryTime(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm utc = {};
  gmtime_r(&time, &utc);
  std::array<char, 32> text = {};
  const size_t n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return {text.data(), n};
}

std::string History::DefaultPath() {
  const std::string directory = StateDirectory();
  return directory.empty() ? "" : directory + "/history.sqlite";
}

// flock() with the same patience as SQLite's locks.
Status History::Lock(int how) {
  const auto start = std::chrono::steady_clock::now();
  while (flock(lock_, how | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return ErrnoError("lock", path_ + ".lock", errno);
    TRY_STATUS(CheckInterrupted());
    if (std::chrono::steady_clock::now() - start > std::chrono::milliseconds(patience_ms_))
      return Error{Code::kBusy, fmt::format("{} is held by another trimma", path_), "try again"};
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return {};
}

History::History(History&& other) noexcept
    : path_(std::move(other.path_)),
      patience_ms_(other.patience_ms_),
      read_only_(other.read_only_),
      lock_(std::exchange(other.lock_, -1)),
      database_(std::move(other.database_)),
      notes_(std::move(other.notes_)) {}

History::~History() {
  database_.reset();  // before the lock goes
  if (lock_ >= 0) close(lock_);
}

Result<History> History::Open(const std::string& path, int patience_ms) {
  if (path.empty())
    return Error{Code::kNotFound, "there is no directory for the history: HOME is not set", ""};
  TRY_STATUS(MakeDirectories(std::filesystem::path(path).parent_path().string()));
  History history(path, patience_ms);
  const std::string lock = path + ".lock";
  history.lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (history.lock_ < 0) return ErrnoError("open", lock, errno);
  TRY_STATUS(history.Lock(LOCK_SH));
  Status ready = history.Connect();
  if (!ready.ok() && IsDamage(ready.error())) {
    TRY_STATUS(history.SetAside());
    ready = history.Connect();
  }
  if (!ready.ok()) return ready.error();
  return history;
}

Result<History> History::OpenToRead(const std::string& path, int patience_ms) {
  History history(path, patience_ms);
  history.read_only_ = true;
  const std::string lock = path + ".lock";
  history.lock_ = open(lock.c_str(), O_RDONLY | O_CLOEXEC);
  // Without one, nobody has opened it to write so far.
  if (history.lock_ < 0 && errno != ENOENT) return ErrnoError("open", lock, errno);
  if (history.lock_ >= 0) TRY_STATUS(history.Lock(LOCK_SH));
  TRY_STATUS(history.Connect());
  return history;
}

Status History::Connect() {
  database_.reset();
  TRY(Database database,
      read_only_ ? Database::OpenToRead(path_, patience_ms_) : Database::Open(path_, patience_ms_));
  database_.emplace(std::move(database));
  return Prepare();
}

// Brings a new or an older file to this version. The rollback journal and full synchronisation are
// SQLite's defaults: what is written is written, after a lost power supply too.
Status History::Prepare() {
  TRY(const Head head, ReadHead(*database_));
  if (head.tables > 0 && head.application != kApplication)
    return Error{Code::kInvalid, path_ + " is no history of trimma", ""};
  const int64_t before = head.version;
  if (before == kVersion) {
    const Status table =
        database_->Run(fmt::format("SELECT {}, document FROM runs LIMIT 0", kColumns));
    // A table that is gone is damage too.
    if (!table.ok() && table.error().code == Code::kInternal)
      return Error{Code::kInvalid, path_ + " lacks its table", ""};
    return table;
  }
  if (read_only_)
    return Error{Code::kFailure, fmt::format("{} is of another version ({})", path_, before), ""};
  return database_->Transaction([&]() -> Status {
    // Another process may have done it meanwhile.
    TRY(const int64_t version, database_->Number("PRAGMA user_version"));
    if (version < 0) return Error{Code::kInvalid, path_ + " has no version of ours", ""};
    if (version > kVersion) {
      return Error{Code::kFailure,
                   fmt::format("{} was written by a newer trimma (version {}, this one knows {})",
                               path_, version, kVersion),
                   "use that trimma, or move the file away"};
    }
    for (int64_t i = version; i < kVersion; ++i)
      TRY_STATUS(database_->Run(kMigrations[static_cast<size_t>(i)]));
    TRY_STATUS(database_->Run(fmt::format("PRAGMA application_id = {}", kApplication)));
    return database_->Run(fmt::format("PRAGMA user_version = {}", kVersion));
  });
}

// Renames the file and what SQLite keeps beside it, for a journal of the old file would be played
// back into the new one. Nobody else has it open meanwhile: all hold the lock while they do.
Status History::SetAside() {
  database_.reset();
  TRY_STATUS(Lock(LOCK_UN));
  TRY_STATUS(Lock(LOCK_EX));
  // Another process may have set it aside while we waited.
  const Status again = Connect();
  bool damaged = !again.ok() && IsDamage(again.error());
  if (again.ok()) {
    auto check = database_->Prepare("PRAGMA quick_check(1)");
    auto row = check.ok() ? check->Step() : Result<bool>(check.error());
    damaged = !row.ok() || !*row || check->Text(0) != "ok";
  }
  database_.reset();
  if (damaged) {
    const std::string name = NameAside(path_);
    std::error_code error;
    // What lies beside goes first: where a crash ends this in between, no journal is left to be
    // played back into a new file.
    for (const char* beside : {"-journal", "-wal", "-shm"})
      std::filesystem::rename(path_ + beside, name + beside, error);  // mostly there is none
    std::filesystem::rename(path_, name, error);
    if (error) return ErrnoError("rename", path_, error.value());
    notes_.push_back(
        fmt::format("the history was damaged: it is kept as {}, and a new one begun", name));
  }
  return Lock(LOCK_SH);
}

// Does the work; once more on a new file where the old one proves damaged.
template <typename Work>
auto History::Mended(const Work& work) -> decltype(work()) {
  auto done = work();
  if (done.ok() || read_only_ || !IsDamage(done.error())) return done;
  TRY_STATUS(SetAside());
  TRY_STATUS(Connect());
  return work();
}

Result<int64_t> History::Append(const HistoryEntry& e) {
  return Mended([&]() -> Result<int64_t> {
    int64_t id = 0;
    TRY_STATUS(database_->Transaction([&]() -> Status {
      TRY(Statement row,
          database_->Prepare("INSERT INTO runs (time, command, model_path, model_quick, "
                             "model_sha256, machine, engine_commit, driver, trimma_version, "
                             "summary, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
      const Provenance& p = e.provenance;
      int at = 0;
      for (const std::string* value :
           {&e.time, &e.command, &e.model_path, &p.model_quick, &p.model_sha256, &p.machine,
            &p.engine_commit, &p.driver, &e.trimma_version, &e.summary, &e.document})
        row.Bind(++at, *value);
      TRY(const bool ignored, row.Step());
      (void)ignored;
      id = database_->LastRow();
      return {};
    }));
    return id;
  });
}

Result<std::vector<HistoryEntry>> History::Select(Statement& statement) {
  std::vector<HistoryEntry> entries;
  while (true) {
    TRY(const bool row, statement.Step());
    if (!row) return entries;
    entries.push_back(EntryOf(statement));
  }
}

Result<std::vector<HistoryEntry>> History::List(const HistoryFilter& filter) {
  return Mended([&]() -> Result<std::vector<HistoryEntry>> {
    TRY(Statement statement,
        database_->Prepare(fmt::format("SELECT {} FROM runs WHERE (?1 = '' OR command = ?1) AND "
                                       "(?2 = '' OR instr(lower(model_path), ?2) > 0) "
                                       "ORDER BY id DESC LIMIT ?3",
                                       kColumns)));
    statement.Bind(1, filter.command).Bind(2, ToLower(filter.model));
    statement.Bind(3, filter.limit.value_or(-1));  // of SQLite: no limit
    return Select(statement);
  });
}

Result<std::optional<HistoryEntry>> History::Find(int64_t id) {
  return Mended([&]() -> Result<std::optional<HistoryEntry>> {
    TRY(Statement statement,
        database_->Prepare(fmt::format("SELECT {}, document FROM runs WHERE id = ?", kColumns)));
    TRY(const bool row, statement.Bind(1, id).Step());
    if (!row) return std::optional<HistoryEntry>();
    HistoryEntry entry = EntryOf(statement);
    entry.document = statement.Text(11);
    return std::optional<HistoryEntry>(std::move(entry));
  });
}

Result<std::optional<HistoryEntry>> History::Newest(
    const std::string& command, const std::string& model_path, const std::string& model_quick,
    const std::function<bool(const std::string&)>& accept) {
  return Mended([&]() -> Result<std::optional<HistoryEntry>> {
    TRY(Statement statement,
        database_->Prepare(fmt::format(
            "SELECT {}, document FROM runs WHERE command = ?1 AND (model_path = ?2 OR "
            "model_quick = ?3) AND instr(document, '\"through\":') = 0 ORDER BY id DESC",
            kColumns)));
    statement.Bind(1, command).Bind(2, model_path).Bind(3, model_quick);
    while (true) {
      TRY(const bool row, statement.Step());
      if (!row) return std::optional<HistoryEntry>();
      HistoryEntry entry = EntryOf(statement);
      entry.document = statement.Text(11);
      if (!accept || accept(entry.document)) return std::optional<HistoryEntry>(std::move(entry));
    }
  });
}

Result<int64_t> History::Forget(int64_t id) {
  return Mended([&]() -> Result<int64_t> {
    TRY(Statement statement, database_->Prepare("DELETE FROM runs WHERE id = ?"));
    TRY(const bool ignored, statement.Bind(1, id).Step());
    (void)ignored;
    return database_->Changes();
  });
}

Result<int64_t> History::ForgetBefore(const std::string& time) {
  return Mended([&]() -> Result<int64_t> {
    int64_t gone = 0;
    {
      TRY(Statement statement, database_->Prepare("DELETE FROM runs WHERE time < ?"));
      TRY(const bool ignored, statement.Bind(1, time).Step());
      (void)ignored;
      gone = database_->Changes();
    }
    if (gone > 0) TRY_STATUS(database_->Run("VACUUM"));  // gives the space back
    return gone;
  });
}

}  // namespace trimma
