#include "history/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <thread>

#include "base/interrupt.h"

namespace trimma {
namespace {

Code CodeOf(int rc) {
  switch (rc & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::kInvalid;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kBusy;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return Code::kPermission;
    case SQLITE_FULL:
    case SQLITE_IOERR:
      return Code::kIo;
    default:
      return Code::kInternal;
  }
}

Error ErrorOf(sqlite3* database, int rc) {
  if (CodeOf(rc) == Code::kBusy) {
    // Then nobody waited as long as one would have.
    if (const Status stopped = CheckInterrupted(); !stopped.ok()) return stopped.error();
  }
  const char* path = sqlite3_db_filename(database, "main");
  return {CodeOf(rc),
          std::string(path == nullptr ? "the history" : path) + ": " + sqlite3_errmsg(database),
          CodeOf(rc) == Code::kBusy ? "another trimma is writing; try again" : ""};
}

}  // namespace

void Statement::Free::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::Bind(int index, const std::string& value) {
  // Fails only for an index that isn't there: a bug.
  CHECK(sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8) == SQLITE_OK);
  return *this;
}

Statement& Statement::Bind(int index, int64_t value) {
  CHECK(sqlite3_bind_int64(statement_.get(), index, value) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::Step() {
  const int rc = sqlite3_step(statement_.get());
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return ErrorOf(sqlite3_db_handle(statement_.get()), rc);
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const int bytes = sqlite3_column_bytes(statement_.get(), column);
  return text == nullptr ? "" : std::string(text, static_cast<size_t>(bytes));
}

int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

void Database::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

// What SQLite calls where the file is locked: 0 gives up.
int Database::WaitFor(void* patience, int tries) {
  auto& wait = *static_cast<Patience*>(patience);
  const auto now = std::chrono::steady_clock::now();
  if (tries == 0) wait.start = now;
  if (InterruptSignal() != 0 || now - wait.start >= wait.most) return 0;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return 1;
}

Result<Database> Database::Open(const std::string& path, int patience_ms) {
  // SQLite would make it for everybody to read. Only a new one is opened here: to close a file
  // drops this process's locks on it.
  const int made = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (made >= 0) close(made);
  return OpenAs(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, patience_ms);
}

Result<Database> Database::OpenToRead(const std::string& path, int patience_ms) {
  return OpenAs(path, SQLITE_OPEN_READONLY, patience_ms);
}

Result<Database> Database::OpenAs(const std::string& path, int flags, int patience_ms) {
  sqlite3* opened = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
  Database database(opened);
  if (opened == nullptr) return Error{Code::kInternal, "out of memory", ""};
  if (rc != SQLITE_OK) return ErrorOf(opened, rc);
  sqlite3_extended_result_codes(opened, 1);
  database.patience_ = std::make_unique<Patience>();
  database.patience_->most = std::chrono::milliseconds(patience_ms);
  sqlite3_busy_handler(opened, WaitFor, database.patience_.get());
  return database;
}

Status Database::Run(const std::string& sql) {
  const int rc = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return ErrorOf(database_.get(), rc);
  return {};
}

Result<Statement> Database::Prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int rc = sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                    &statement, nullptr);
  if (rc != SQLITE_OK) return ErrorOf(database_.get(), rc);
  return Statement(statement);
}

Result<int64_t> Database::Number(const std::string& sql) {
  TRY(Statement statement, Prepare(sql));
  TRY(const bool row, statement.Step());
  return row ? statement.Integer(0) : 0;
}

int64_t Database::LastRow() const { return sqlite3_last_insert_rowid(database_.get()); }
int64_t Database::Changes() const { return sqlite3_changes(database_.get()); }

}  // namespace trimma
