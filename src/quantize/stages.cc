#include "quantize/stages.h"

#include <fmt/format.h>
#include <hash/hash.h>

#include "base/build_info.h"
#include "base/file.h"
#include "quantize/learn_from.h"

namespace trimma {
namespace {

// Raised when a stage keeps something else: what an older one left is then measured anew.
constexpr int kVersion = 4;

std::string StampText(const std::string& path) {
  const auto input = InputFile::Open(path);
  if (!input.ok()) return path;
  const FileStamp& s = input->stamp();
  return fmt::format("{} {} {} {} {}", path, s.bytes, s.mtime_ns, s.device, s.inode);
}

}  // namespace

std::string StagesKey(const QuantizeOptions& options, const GgufFile& source) {
  Json sources = Json::array();
  for (const std::string& path : source.paths) sources.push_back(StampText(path));
  return Json{
      {"version", build_info::kVersion},
      {"stages", kVersion},
      {"source", sources},
      {"text", options.calibration_text ? Json(StampText(*options.calibration_text)) : Json()},
      {"wanted", ToJson(TextWanted(options, ChunksForMoments(source.parameters())))},
      {"memory", options.memory_bytes}}
      .dump(1);
}

std::string StagesDirectory(const QuantizeOptions& options, const std::string& key) {
  if (!options.work_directory) return options.output + ".trimma-work";
  const std::string hash = hash_sha256_hex(key.data(), key.size());
  return fmt::format("{}/trimma-{}", *options.work_directory, hash.substr(0, 12));
}

Json TrialsOf(const QuantizeOptions& options, const MixChoices& choices) {
  return {{"choices", ToJson(choices)},
          {"trials", options.exchanges},
          {"compensate", options.compensate}};
}

std::optional<Exchanged> KeptExchanges(const std::string& path, const Json& trials) {
  const auto text = ReadSmallFile(path);
  if (!text.ok()) return std::nullopt;
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object() || json.value("tried", Json()) != trials) return std::nullopt;
  auto exchanged = ExchangedFromJson(json.value("exchanged", Json()));
  if (!exchanged.ok()) return std::nullopt;
  return *std::move(exchanged);
}

Status KeepExchanges(const std::string& path, const Json& trials, const Exchanged& exchanged) {
  return WriteFileAtomically(path,
                             Json{{"tried", trials}, {"exchanged", ToJson(exchanged)}}.dump(1));
}

Result<std::vector<TensorWorth>> ReadWorths(const std::string& path) {
  TRY(const std::string text, ReadSmallFile(path));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array())
    return Error{Code::kInvalid, "the measured sensitivities are damaged", "start anew"};
  std::vector<TensorWorth> worths;
  for (const Json& item : json) {
    TRY(TensorWorth worth, TensorWorthFromJson(item));
    worths.push_back(std::move(worth));
  }
  return worths;
}

}  // namespace trimma
