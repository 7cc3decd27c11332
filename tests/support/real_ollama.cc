#include "support/real_ollama.h"

#include <arpa/inet.h>
#include <cpp-httplib/httplib.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

namespace trimma {
namespace {

constexpr int kSeconds = 60;

// One that nobody listens on now.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

bool Runs(const std::string& path) { return !path.empty() && access(path.c_str(), X_OK) == 0; }

}  // namespace

std::optional<std::string> RealOllama::Program() {
  const char* named = std::getenv("TRIMMA_TEST_OLLAMA");
  if (named != nullptr) return Runs(named) ? std::optional<std::string>(named) : std::nullopt;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (Runs(folder + "/ollama")) return folder + "/ollama";
  }
  return std::nullopt;
}

RealOllama::RealOllama(const std::string& program) : program_(program), port_(FreePort()) {
  const std::string host = fmt::format("127.0.0.1:{}", port_);
  tree_.Write("home/.keep", "");
  pid_ = fork();
  if (pid_ == 0) {
    setpgid(0, 0);
    setenv("HOME", (tree_ / "home").c_str(), 1);
    setenv("OLLAMA_MODELS", (tree_ / "models").c_str(), 1);
    setenv("OLLAMA_HOST", host.c_str(), 1);
    const int log = open((tree_ / "log").c_str(), O_CREAT | O_WRONLY, 0600);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execl(program.c_str(), "ollama", "serve", nullptr);
    _exit(127);
  }
  for (int i = 0; i < kSeconds * 20 && !ready_; ++i) {
    httplib::Client client("127.0.0.1", port_);
    const auto answer = client.Get("/api/version");
    ready_ = answer && answer->status == 200;
    if (!ready_) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

RealOllama::~RealOllama() {
  if (pid_ <= 0) return;
  kill(-pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

std::string RealOllama::Create(const std::string& name, const std::string& gguf) const {
  tree_.Write("Modelfile", fmt::format("FROM {}\nPARAMETER num_ctx 256\n", gguf));
  const std::string command =
      fmt::format("HOME='{}' OLLAMA_HOST=127.0.0.1:{} '{}' create {} -f '{}' >'{}' 2>&1",
                  tree_ / "home", port_, program_, name, tree_ / "Modelfile", tree_ / "create.log");
  if (std::system(command.c_str()) == 0) return "";
  std::ifstream log(tree_ / "create.log");
  return std::string(std::istreambuf_iterator<char>(log), {});
}

Json RealOllama::Post(const std::string& path, const Json& body) const {
  httplib::Client client("127.0.0.1", port_);
  client.set_read_timeout(kSeconds, 0);
  const auto answer = client.Post(path, body.dump(), "application/json");
  return answer ? Json::parse(answer->body, nullptr, false) : Json();
}

}  // namespace trimma
