#include "tune/question.h"

#include "base/build_info.h"
#include "base/file.h"

namespace trimma {

Result<Json> TuneQuestion(const std::string& path, const TuneOptions& o) {
  TRY(const InputFile file, InputFile::Open(path));
  const FileStamp& stamp = file.stamp();
  Json placed = Json::array();
  for (const Placed& one : o.other.placed) placed.push_back({one.what, one.host_tensors});
  return Json{
      {"file", {stamp.bytes, stamp.mtime_ns, stamp.device, stamp.inode}},
      {"engine", build_info::kEngineCommit},
      {"version", build_info::kVersion},
      {"machine", {o.machine, o.cores, o.threads, o.has_gpu, placed}},
      {"defaults", ToJson(o.defaults)},
      {"for",
       {NameOf(o.purpose), o.users, o.prompt_tokens, o.depth, o.decode_tokens, o.answer_tokens}},
      {"seed", o.seed}};
}

}  // namespace trimma
