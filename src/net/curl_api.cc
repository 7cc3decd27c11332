#include "net/curl_api.h"

#include <dlfcn.h>

namespace trimma {
namespace {

constexpr const char* kLibrary = "libcurl.so.4";

template <typename Function>
bool Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

const CurlApi* Load() {
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  static CurlApi api;
  const bool complete =
      Find(library, "curl_global_init", api.global_init) &&
      Find(library, "curl_version_info", api.version_info) &&
      Find(library, "curl_free", api.free) && Find(library, "curl_easy_init", api.easy_init) &&
      Find(library, "curl_easy_cleanup", api.easy_cleanup) &&
      Find(library, "curl_easy_reset", api.easy_reset) &&
      Find(library, "curl_easy_setopt", api.easy_setopt) &&
      Find(library, "curl_easy_getinfo", api.easy_getinfo) &&
      Find(library, "curl_easy_strerror", api.easy_strerror) &&
      Find(library, "curl_multi_init", api.multi_init) &&
      Find(library, "curl_multi_cleanup", api.multi_cleanup) &&
      Find(library, "curl_multi_add_handle", api.multi_add_handle) &&
      Find(library, "curl_multi_remove_handle", api.multi_remove_handle) &&
      Find(library, "curl_multi_perform", api.multi_perform) &&
      Find(library, "curl_multi_poll", api.multi_poll) &&
      Find(library, "curl_multi_info_read", api.multi_info_read) &&
      Find(library, "curl_slist_append", api.slist_append) &&
      Find(library, "curl_slist_free_all", api.slist_free_all) &&
      Find(library, "curl_url", api.url) && Find(library, "curl_url_cleanup", api.url_cleanup) &&
      Find(library, "curl_url_set", api.url_set) && Find(library, "curl_url_get", api.url_get);
  if (!complete || api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return nullptr;
  const curl_version_info_data* const info = api.version_info(CURLVERSION_NOW);
  if (info == nullptr) return nullptr;
  api.version = info->version_num;
  return &api;
}

}  // namespace

Result<const CurlApi*> LoadCurl() {
  static const CurlApi* const api = Load();
  if (api != nullptr) return api;
  return Error{Code::kFailure, "libcurl is not installed, or older than 7.66",
               "install it (Debian: libcurl4)"};
}

}  // namespace trimma
