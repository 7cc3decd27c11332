// The connections of one download: ranges side by side, each tried again where it breaks off.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "models/download.h"
#include "models/part_ledger.h"

namespace trimma {

// Where the bytes really are: registries redirect to an object store. Asked for with one byte.
struct BlobLocation {
  std::string url;
  std::string token;  // only where the url is the source's own
  std::string etag;
  bool ranges = false;  // false: the server sends whole files only
};
Result<BlobLocation> Locate(const BlobSource& source, const DownloadOptions& options,
                            const std::atomic<bool>* stop = nullptr);

// The whole body in one go, for small files and servers without ranges; `on_bytes` begins anew
// with every try, after `on_restart`. kNetwork where it has another length.
Status FetchWhole(const BlobSource& source, const DownloadOptions& options,
                  const std::function<Status()>& on_restart, const OnBytes& on_bytes);

class BlobFetch {
 public:
  // `output` and `ledger` outlive it. The connections start at once.
  BlobFetch(const BlobSource& source, const DownloadOptions& options, BlobLocation location,
            PartLedger& ledger, OutputFile& output);
  ~BlobFetch();  // stops them
  BlobFetch(const BlobFetch&) = delete;
  BlobFetch& operator=(const BlobFetch&) = delete;

  std::optional<Error> failure() const;  // the first; the others then stop

 private:
  void Work();
  Status FetchPart(HttpClient& client, PartLedger::Part part);
  Status Relocate(const BlobLocation& stale);
  BlobLocation location() const;

  const BlobSource& source_;
  const DownloadOptions& options_;
  PartLedger& ledger_;
  OutputFile& output_;
  mutable std::mutex mutex_;
  BlobLocation location_;
  std::optional<Error> failure_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace trimma
