#include "quantize/make_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "quantize/made_by.h"

namespace trimma {

Json RequestOf(const QuantizeOptions& options, const FileToMake& file) {
  Json types = Json::array();
  for (const TensorType type : file.assignment->types) types.push_back(static_cast<uint32_t>(type));
  return {{"source", options.source},
          {"output", file.output},
          {"recipe", file.label->name},
          {"types", types},
          {"importance", file.importance ? Json(*file.importance) : Json()},
          {"moments", file.moments ? Json(*file.moments) : Json()},
          {"exact", options.exact},
          {"compensate", file.compensate},
          {"metadata", file.made_by ? ToJson(*file.made_by) : Json()},
          {"memory_bytes", options.memory_bytes},
          {"threads", options.threads},
          {"force", file.force}};
}

Status CheckOutput(const GgufFile& source, const QuantizeOptions& options) {
  TRY_STATUS(CheckIsNoInput(source, options.output));
  if (options.force || access(options.output.c_str(), F_OK) != 0) return {};
  return Error{Code::kFailure, fmt::format("{} exists already", SafeText(options.output)),
               "choose another name, or pass --force"};
}

Result<QuantizeReport> ReportMade(const GgufFile& source, const std::string& output,
                                  const Json& answer) {
  TRY(const GgufFile written, ReadGguf(output));
  const auto announced = answer.at("file_bytes").get<uint64_t>();
  if (written.file_bytes != announced) {
    return Error{Code::kInternal,
                 fmt::format("{} has {} bytes, {} were announced", SafeText(output),
                             written.file_bytes, announced),
                 ""};
  }
  QuantizeReport report;
  report.output = output;
  report.file_bytes = written.file_bytes;
  report.bits_per_weight = written.bits_per_weight();
  for (size_t i = 0; i < written.tensors.size(); ++i) {
    const TensorInfo& tensor = written.tensors[i];
    report.tensors.push_back({tensor.name, source.tensors[i].type, tensor.type, tensor.bytes});
    report.rounding[answer.at("rounding")[i]].push_back(tensor.name);
  }
  return report;
}

}  // namespace trimma
