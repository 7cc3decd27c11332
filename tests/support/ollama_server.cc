#include "support/ollama_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace trimma {
namespace {

namespace fs = std::filesystem;

// A port that was free a moment ago.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = bind(fd, generic, length) == 0 && getsockname(fd, generic, &length) == 0;
  close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

std::vector<std::string> Environment(const std::map<std::string, std::string>& more) {
  std::map<std::string, std::string> all = more;
  for (const char* name : {"PATH", "LD_LIBRARY_PATH"})
    if (const char* value = std::getenv(name); value != nullptr) all.try_emplace(name, value);
  std::vector<std::string> words;
  for (const auto& [name, value] : all) words.push_back(name + "=" + value);
  return words;
}

}  // namespace

std::string OllamaProgram() {
  if (const char* named = std::getenv("TRIMMA_TEST_OLLAMA"); named != nullptr)
    return access(named, X_OK) == 0 ? named : "";
  const char* path = std::getenv("PATH");
  for (const std::string& folder : Split(path == nullptr ? "" : path, ':')) {
    const std::string program = folder + "/ollama";
    if (!folder.empty() && access(program.c_str(), X_OK) == 0) return program;
  }
  return "";
}

std::unique_ptr<OllamaServer> OllamaServer::Start(
    const std::map<std::string, std::string>& environment) {
  std::unique_ptr<OllamaServer> server(new OllamaServer);
  std::string directory = fs::temp_directory_path() / "trimma-ollama-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return nullptr;
  server->directory_ = directory;
  server->address_.port = FreePort();
  std::map<std::string, std::string> all = environment;
  all["HOME"] = directory;
  all["OLLAMA_MODELS"] = server->models();
  all["OLLAMA_HOST"] = server->host();
  const std::vector<std::string> words = Environment(all);
  std::vector<char*> envp;
  for (const std::string& word : words) envp.push_back(const_cast<char*>(word.c_str()));
  envp.push_back(nullptr);
  const std::string program = OllamaProgram();
  std::string serve = "serve";
  std::vector<char*> argv = {const_cast<char*>(program.c_str()), serve.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = directory + "/log";
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A group of its own: its runners end with it.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  const int failed =
      posix_spawn(&server->pid_, program.c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return nullptr;
  constexpr int kTries = 600;
  for (int i = 0; i < kTries; ++i) {
    if (OllamaClient::ConnectTo(server->address_).ok()) return server;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ADD_FAILURE() << "ollama serve does not answer:\n" << server->Log();
  return nullptr;
}

OllamaServer::~OllamaServer() {
  if (pid_ > 0) {
    kill(-pid_, SIGTERM);
    constexpr int kTries = 100;
    int ended = 0;
    for (int i = 0; i < kTries && ended == 0; ++i) {
      ended = waitpid(pid_, nullptr, WNOHANG);
      if (ended == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    kill(-pid_, SIGKILL);
    if (ended == 0) waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  if (!directory_.empty()) fs::remove_all(directory_, ignored);
}

std::string OllamaServer::Log() const {
  return ReadSmallFile(directory_ + "/log").ok() ? *ReadSmallFile(directory_ + "/log") : "";
}

OllamaClient OllamaServer::Client() const {
  auto client = OllamaClient::ConnectTo(address_);
  CHECK(client.ok());
  return *std::move(client);
}

}  // namespace trimma
