#include "doctor/fix.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostText = 1 << 20;

bool IsBelow(const std::string& path, const std::string& folder) {
  if (folder.empty() || folder == "/") return false;
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  return !error && path.starts_with(real.string() + "/");
}

// Why this user's doctor leaves the file alone; "" if it doesn't.
std::string Objection(const Variable& variable, const std::string& real, const FixScope& scope) {
  // Whoever runs doctor, and wherever: these are the system's, and a unit wants a restart besides.
  if (variable.place == Place::kSystemWide) return "it is the system's";
  if (variable.place == Place::kUnit) return "the service has to be restarted";
  if (!IsBelow(real, scope.home) && !IsBelow(real, scope.working_directory))
    return "it is outside your home";
  struct stat st{};
  if (stat(real.c_str(), &st) != 0) return "it is gone";
  if (st.st_uid != geteuid()) return "it belongs to another user";
  if ((st.st_mode & S_IWUSR) == 0) return "it is write-protected";
  const std::string folder = fs::path(real).parent_path().string();
  return access(folder.c_str(), W_OK) == 0 ? "" : "its folder is write-protected";
}

bool IsShell(const Variable& variable) {
  return variable.place == Place::kProfile && !variable.path.ends_with(".conf");
}

// In a shell the line may be all that an `if` holds, so a command stays that does nothing.
std::string Commented(const Variable& variable) {
  const size_t indent = std::min(variable.text.find_first_not_of(" \t"), variable.text.size());
  return fmt::format("{}{} {}", variable.text.substr(0, indent), IsShell(variable) ? ": #" : "#",
                     variable.text.substr(indent));
}

std::string ByHand(const Variable& variable, const FixScope& scope, const std::string& why) {
  switch (variable.place) {
    case Place::kServer:
      return fmt::format("restart {} once {} is gone from where it was started", variable.owner,
                         variable.name);
    case Place::kShell:
      return fmt::format("unset {}", variable.name);
    default:
      break;
  }
  const std::string path = fmt::format("'{}'", SafeText(variable.path, 500));
  if (!variable.stands_alone)
    return fmt::format("edit {} line {}: more than {} stands there", path, variable.line,
                       variable.name);
  std::string then;
  const std::string sudo = scope.home.empty() || !IsBelow(variable.path, scope.home) ? "sudo " : "";
  if (variable.place == Place::kUnit) {
    const std::string manager = sudo.empty() ? "systemctl --user" : "sudo systemctl";
    then = fmt::format(" && {} daemon-reload && {} restart {}", manager, manager,
                       SafeText(variable.owner, 80));
  }
  return fmt::format("{}sed -i.bak '{}s/^/#/' {}{}  # {}", sudo, variable.line, path, then, why);
}

struct Edit {
  std::vector<const Variable*> variables;
};

// A list in a compose file may not become empty.
bool EmptiesAnEnvironment(const Edit& edit) {
  std::map<std::string, int> gone;
  for (const Variable* variable : edit.variables) ++gone[variable->owner];
  return std::any_of(edit.variables.begin(), edit.variables.end(), [&](const Variable* v) {
    return v->siblings > 0 && gone[v->owner] >= v->siblings;
  });
}

Result<FileFix> EditFile(const std::string& real, const Edit& edit) {
  FileFix fix;
  fix.path = real;
  TRY(fix.before, ReadSmallFile(real, kMostText));
  std::vector<std::string> lines = Split(fix.before, '\n');
  for (const Variable* variable : edit.variables) {
    const auto index = static_cast<size_t>(variable->line - 1);
    if (index >= lines.size() || lines[index] != variable->text)
      return Error{Code::kBusy, fmt::format("{} changed meanwhile", real), "run the command again"};
    lines[index] = Commented(*variable);
    fix.lines.push_back(fmt::format("{}: {}", variable->line, SafeText(Trim(variable->text), 120)));
  }
  for (size_t i = 0; i < lines.size(); ++i) fix.after += (i > 0 ? "\n" : "") + lines[i];
  return fix;
}

}  // namespace

Result<FixPlan> PlanFixes(const std::vector<Finding>& findings, const FixScope& scope) {
  FixPlan plan;
  std::map<std::string, Edit> edits;
  for (const Finding& finding : findings) {
    if (!finding.variable) continue;
    const Variable& variable = *finding.variable;
    std::error_code error;
    const std::string real =
        variable.path.empty() ? "" : fs::canonical(variable.path, error).string();
    const std::string why = real.empty() || !variable.stands_alone
                                ? "not a line of its own"
                                : Objection(variable, real, scope);
    if (why.empty())
      edits[real].variables.push_back(&variable);
    else
      plan.commands.push_back(ByHand(variable, scope, why));
  }
  for (const auto& [real, edit] : edits) {
    if (EmptiesAnEnvironment(edit)) {
      plan.commands.push_back(
          fmt::format("edit '{}': without {} its environment would be empty, "
                      "remove that key too",
                      SafeText(real, 500), edit.variables.front()->name));
      continue;
    }
    TRY(FileFix fix, EditFile(real, edit));
    plan.files.push_back(std::move(fix));
  }
  return plan;
}

Status ApplyFixes(const FixPlan& plan) {
  for (const FileFix& fix : plan.files) {
    TRY(const std::string now, ReadSmallFile(fix.path, kMostText));
    if (now != fix.before)
      return Error{Code::kBusy, fmt::format("{} changed meanwhile", fix.path),
                   "run the command again"};
  }
  for (const FileFix& fix : plan.files) {
    TRY_STATUS(WriteFileAtomically(fix.path + ".bak", fix.before, fix.path));
    TRY_STATUS(WriteFileAtomically(fix.path, fix.after, fix.path));
  }
  return {};
}

}  // namespace trimma
