// SQLite, as much of it as the history needs: statements with values, errors as values.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace trimma {

// Errors are kInvalid where the file is damaged or no database (and only then), kBusy where other
// processes held it too long (kInterrupted, kTerminated: nobody wants to wait
// any more), kIo, kPermission.
class Statement {
 public:
  // Values of ? 1, 2, ...
  Statement& Bind(int index, const std::string& value);
  Statement& Bind(int index, int64_t value);
  Result<bool> Step();  // true: there is a row
  std::string Text(int column) const;
  int64_t Integer(int column) const;

 private:
  friend class Database;
  struct Free {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Free> statement_;
};

class Database {
 public:
  // Makes the file if it is absent, for its owner alone. Whoever finds it locked by another process
  // waits for `patience_ms`, or until an interrupt.
  static Result<Database> Open(const std::string& path, int patience_ms);
  // Makes and writes nothing.
  static Result<Database> OpenToRead(const std::string& path, int patience_ms);

  Status Run(const std::string& sql);  // several statements, no values
  Result<Statement> Prepare(const std::string& sql);
  Result<int64_t> Number(const std::string& sql);  // the first column of the first row
  int64_t LastRow() const;
  int64_t Changes() const;  // rows that the last statement changed

  // Everything within one transaction that is written from the start, so that two processes take
  // turns instead of meeting halfway. Undone where `work` fails.
  template <typename Work>
  Status Transaction(const Work& work) {
    TRY_STATUS(Run("BEGIN IMMEDIATE"));
    Status done = work();
    if (done.ok()) done = Run("COMMIT");
    if (!done.ok()) (void)Run("ROLLBACK");
    return done;
  }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  struct Patience {
    std::chrono::milliseconds most;
    std::chrono::steady_clock::time_point start;
  };
  static int WaitFor(void* patience, int tries);
  static Result<Database> OpenAs(const std::string& path, int flags, int patience_ms);

  explicit Database(sqlite3* database) : database_(database) {}
  std::unique_ptr<Patience> patience_;  // outlives the database, which points to it
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace trimma
