// A file of known size and SHA-256 from a server that isn't trusted, into its place in a store.
//
// Large files are fetched as ranges side by side and summed up behind them; what was fetched
// survives any end of the process (models/part_ledger.h). The file gets its name only once its
// SHA-256 is right.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http.h"

namespace trimma {

struct BlobSource {
  std::string url;
  std::string token;  // for the url's own host
  std::string sha256;
  uint64_t bytes = 0;
  // A token in place of `stale`, which the server no longer takes; empty: there is none to be had.
  // Called from any thread.
  std::function<Result<std::string>(const std::string& stale)> renew_token = {};
};

struct BlobPlace {
  std::string path;         // its name in the store; the folder is there
  std::string part_folder;  // of the same disk
};

struct DownloadOptions {
  bool insecure = false;
  bool plain = false;  // the registry's name began with http://: TLS isn't tried
  int connections = 4;
  int tries = 6;                  // in a row that bring nothing, for each connection
  double first_wait_seconds = 1;  // before the second try; doubles from one to the next
  HttpLimits limits;
};

struct Downloaded {
  bool was_there = false;
  uint64_t fetched_bytes = 0;  // in this run
  uint64_t kept_bytes = 0;     // of an earlier, interrupted one
  std::vector<std::string> notes;
};

// Bytes that an interrupted run had left, and that this one fetched; 10 times a second.
using OnFetched = std::function<void(uint64_t kept, uint64_t fetched)>;

// kInvalid where the bytes have another SHA-256 (they are deleted); kNetwork, kNotFound,
// kPermission, kIo, kBusy. What was fetched is kept unless it is wrong.
Result<Downloaded> Download(const BlobSource& source, const BlobPlace& place,
                            const DownloadOptions& options, const OnFetched& on_fetched = {});

// Whether a file of the source's size is under its name: taken for the one, and not read again.
bool IsThere(const BlobSource& source, const BlobPlace& place);

// Bytes of the source that neither the place nor an interrupted download has.
uint64_t MissingBytes(const BlobSource& source, const BlobPlace& place);

// Whether the same question may be answered a little later (429, 503).
bool MayPass(int status);

// What an HTTP status means that isn't 200 or 206: "HOST has no WHAT" (404) and so on.
Error StatusError(const HttpAnswer& answer, const std::string& what);

}  // namespace trimma
