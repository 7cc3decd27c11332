#include "doctor/fix.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;

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
  return (variable.place == Place::kProfile && !variable.path.ends_with(".conf")) ||
         (variable.place == Place::kSystemWide && !variable.path.ends_with("/environment"));
}

// In a shell the line may be all that an `if` holds, so a command stays that does nothing.
std::string Commented(const Variable& variable) {
  const size_t indent = std::min(variable.text.find_first_not_of(" \t"), variable.text.size());
  return fmt::format("{}{} {}", variable.text.substr(0, indent), IsShell(variable) ? ": #" : "#",
                     variable.text.substr(indent));
}

// The first of ".bak", ".bak.1", ... that nothing has yet.
std::string FreeEnding(const std::string& path) {
  for (int i = 0;; ++i) {
    const std::string ending = i == 0 ? ".bak" : fmt::format(".bak.{}", i);
    struct stat st{};
    if (lstat((path + ending).c_str(), &st) != 0) return ending;
  }
}

// For a shell: nothing within is more than itself.
std::string ShellQuoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// A variable that no line of a file stands for alone.
std::string ByHand(const Variable& variable) {
  switch (variable.place) {
    case Place::kServer:
      return fmt::format("restart {} once {} is gone from where it was started", variable.owner,
                         variable.name);
    case Place::kShell:
      return fmt::format("unset {}", variable.name);
    default:
      return fmt::format("edit {} line {}: more than {} stands there",
                         ShellQuoted(SafeText(variable.path, 500)), variable.line, variable.name);
  }
}

// Lines of one file that its owner may turn into comments.
struct Manual {
  std::map<int, const Variable*> lines;
  std::set<std::string> owners;  // units to start again
  std::string why;
};

std::string Command(const std::string& real, const Manual& manual, const FixScope& scope) {
  const Variable& first = *manual.lines.begin()->second;
  const bool own = !scope.home.empty() && IsBelow(real, scope.home);
  std::string command =
      fmt::format("{}sed --follow-symlinks -i{}", own ? "" : "sudo ", FreeEnding(real));
  for (const auto& [line, variable] : manual.lines)
    command += fmt::format(" -e '{}s/^/{}/'", line, IsShell(*variable) ? ": # " : "# ");
  command += " " + ShellQuoted(SafeText(real, 500));
  if (first.place == Place::kUnit) {
    const std::string manager = own ? "systemctl --user" : "sudo systemctl";
    command += fmt::format(" && {} daemon-reload && {} restart", manager, manager);
    for (const std::string& owner : manual.owners) command += " " + SafeText(owner, 80);
  }
  return fmt::format("{}  # {}", command, manual.why);
}

// By line: one that is gathered twice (two services' env file, a linked profile) is one line.
struct Edit {
  std::map<int, const Variable*> lines;
};

// A list in a compose file may not become empty.
bool EmptiesAnEnvironment(const Edit& edit) {
  std::map<std::string, int> gone;
  for (const auto& [line, variable] : edit.lines) ++gone[variable->owner];
  return std::any_of(edit.lines.begin(), edit.lines.end(), [&](const auto& one) {
    const Variable& v = *one.second;
    return v.siblings > 0 && gone[v.owner] >= v.siblings;
  });
}

Result<FileFix> EditFile(const std::string& real, const Edit& edit) {
  FileFix fix;
  fix.path = real;
  TRY(fix.before, ReadSmallFile(real, kMostText));
  std::vector<std::string> lines = Split(fix.before, '\n');
  for (const auto& [number, variable] : edit.lines) {
    const auto index = static_cast<size_t>(number - 1);
    if (index >= lines.size() || lines[index] != variable->text)
      return Error{Code::kBusy, fmt::format("{} changed meanwhile", real), "run the command again"};
    lines[index] = Commented(*variable);
    fix.lines.push_back(fmt::format("{}: {}", number, SafeText(Trim(variable->text), 120)));
  }
  for (size_t i = 0; i < lines.size(); ++i) fix.after += (i > 0 ? "\n" : "") + lines[i];
  return fix;
}

}  // namespace

Result<FixPlan> PlanFixes(const std::vector<Finding>& findings, const FixScope& scope) {
  FixPlan plan;
  std::map<std::string, Edit> edits;
  std::map<std::string, Manual> manuals;
  const auto say = [&](const std::string& command) {
    if (std::find(plan.commands.begin(), plan.commands.end(), command) == plan.commands.end())
      plan.commands.push_back(command);
  };
  for (const Finding& finding : findings) {
    if (!finding.variable) continue;
    const Variable& variable = *finding.variable;
    std::error_code error;
    const std::string real =
        variable.path.empty() ? "" : fs::canonical(variable.path, error).string();
    if (real.empty() || !variable.stands_alone) {
      say(ByHand(variable));
    } else if (const std::string why = Objection(variable, real, scope); why.empty()) {
      edits[real].lines.emplace(variable.line, &variable);
    } else {
      Manual& manual = manuals[real];
      manual.lines.emplace(variable.line, &variable);
      if (variable.place == Place::kUnit) manual.owners.insert(variable.owner);
      manual.why = why;
    }
  }
  for (const auto& [real, manual] : manuals) say(Command(real, manual, scope));
  for (const auto& [real, edit] : edits) {
    if (EmptiesAnEnvironment(edit)) {
      say(fmt::format("edit {}: without {} its environment would be empty, remove that key too",
                      ShellQuoted(SafeText(real, 500)), edit.lines.begin()->second->name));
      continue;
    }
    TRY(FileFix fix, EditFile(real, edit));
    plan.files.push_back(std::move(fix));
  }
  return plan;
}

Status ApplyFixes(FixPlan& plan) {
  for (const FileFix& fix : plan.files) {
    TRY(const std::string now, ReadSmallFile(fix.path, kMostText));
    if (now != fix.before)
      return Error{Code::kBusy, fmt::format("{} changed meanwhile", fix.path),
                   "run the command again"};
  }
  for (FileFix& fix : plan.files) {
    const std::string backup = fix.path + FreeEnding(fix.path);
    TRY_STATUS(WriteFileAtomically(backup, fix.before, fix.path));
    TRY_STATUS(WriteFileAtomically(fix.path, fix.after, fix.path));
    fix.backup = backup;
  }
  return {};
}

}  // namespace trimma
