#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace trimma::file_test {
namespace {

namespace fs = std::filesystem;

// base/ comes first, so it has no use of hardware/temp_tree.h.
class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string form = (fs::temp_directory_path() / "trimma-file-XXXXXX").string();
    if (mkdtemp(form.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
    root_ = form;
  }
  ~FileTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }

  std::string At(const std::string& name) const { return (root_ / name).string(); }
  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(root_ / name, std::ios::binary) << content;
    return At(name);
  }
  static std::string Content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(root_))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  using Strings = std::vector<std::string>;

  fs::path root_;
};

OutputFile Created(const std::string& path, const OutputFile::Options& options = {}) {
  Result<OutputFile> file = OutputFile::Create(path, options);
  CHECK(file.ok());
  return std::move(file).value();
}

void Put(OutputFile& file, const std::string& text) {
  ASSERT_TRUE(file.WriteAt(0, text.data(), text.size()).ok());
}

mode_t ModeOf(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(stat(path.c_str(), &st), 0);
  return st.st_mode & 07777;
}

TEST_F(FileTest, ReadsAnywhereInAFile) {
  const auto file = InputFile::Open(Write("a", "0123456789"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->bytes(), 10U);
  char four[4];
  ASSERT_TRUE(file->ReadAt(3, four, 4).ok());
  EXPECT_EQ(std::string(four, 4), "3456");
  EXPECT_TRUE(file->ReadAt(10, four, 0).ok());
}

TEST_F(FileTest, ReadingPastTheEndIsInvalid) {
  const auto file = InputFile::Open(Write("a", "0123456789"));
  ASSERT_TRUE(file.ok());
  char four[4];
  for (const uint64_t offset : {uint64_t{7}, uint64_t{10}, uint64_t{1} << 40}) {
    const Status status = file->ReadAt(offset, four, 4);
    ASSERT_FALSE(status.ok()) << offset;
    EXPECT_EQ(status.error().code, Code::kInvalid);
  }
  // An offset beyond what the system can count is an error as well, whichever.
  EXPECT_FALSE(file->ReadAt(UINT64_MAX - 1, four, 4).ok());
}

TEST_F(FileTest, AFileThatShrinksIsAnErrorNotASignal) {
  const std::string path = Write("a", std::string(100000, 'x'));
  const auto file = InputFile::Open(path);
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(truncate(path.c_str(), 10), 0);
  std::string content(100000, '\0');
  const Status status = file->ReadAt(0, content.data(), content.size());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kInvalid);
  EXPECT_NE(status.error().what.find("ends at byte 10"), std::string::npos);
}

TEST_F(FileTest, WhatIsNoRegularFileIsRefusedAtOnce) {
  ASSERT_EQ(mkfifo(At("fifo").c_str(), 0600), 0);
  for (const std::string& path : {At("fifo"), root_.string(), std::string("/dev/null")}) {
    const auto file = InputFile::Open(path);  // a FIFO without a writer would block
    ASSERT_FALSE(file.ok()) << path;
    EXPECT_EQ(file.error().code, Code::kInvalid);
    EXPECT_NE(file.error().what.find(path), std::string::npos);
    EXPECT_FALSE(OutputFile::Create(path, {}).ok()) << path;
  }
}

TEST_F(FileTest, AMissingFileIsNotFound) {
  EXPECT_EQ(InputFile::Open(At("none")).error().code, Code::kNotFound);
  EXPECT_EQ(InputFile::Open(Write("a", "") + "/below").error().code, Code::kNotFound);
  EXPECT_EQ(ReadSmallFile(At("none")).error().code, Code::kNotFound);
}

TEST_F(FileTest, AStampTellsARewrittenFileFromItself) {
  const std::string path = Write("a", "old");
  const FileStamp before = InputFile::Open(path)->stamp();
  EXPECT_EQ(InputFile::Open(path)->stamp(), before);
  ASSERT_TRUE(WriteFileAtomically(path, "new").ok());
  EXPECT_FALSE(InputFile::Open(path)->stamp() == before);
}

TEST_F(FileTest, AnInputMovesWithItsFile) {
  auto a = InputFile::Open(Write("a", "first"));
  auto b = InputFile::Open(Write("b", "second"));
  ASSERT_TRUE(a.ok() && b.ok());
  InputFile moved = std::move(*a);
  moved = std::move(*b);
  EXPECT_EQ(moved.bytes(), 6U);
  char c = 0;
  ASSERT_TRUE(moved.ReadAt(0, &c, 1).ok());
  EXPECT_EQ(c, 's');
}

TEST_F(FileTest, TheDestinationIsTheOldFileUntilTheNewOneIsWhole) {
  const std::string path = Write("model", "old");
  OutputFile file = Created(path);
  Put(file, "new");
  ASSERT_TRUE(file.Sync().ok());
  EXPECT_EQ(Content(path), "old");
  ASSERT_TRUE(file.Publish().ok());
  EXPECT_EQ(Content(path), "new");
  EXPECT_EQ(Names(), Strings{"model"});
}

TEST_F(FileTest, AnAbandonedPartGoesAwayAndTheDestinationStays) {
  const std::string path = Write("model", "old");
  {
    OutputFile file = Created(path);
    Put(file, "half");
    EXPECT_EQ(Names().size(), 2U);
    const std::string hidden = fs::path(file.part_path()).filename();
    EXPECT_TRUE(hidden.starts_with(".model.trimma-tmp-")) << hidden;
    const OutputFile moved = std::move(file);  // removed once, by the last owner
  }
  EXPECT_EQ(Names(), Strings{"model"});
  EXPECT_EQ(Content(path), "old");
}

TEST_F(FileTest, ANamedPartIsKeptForResuming) {
  OutputFile::Options options;
  options.part_path = At("model.part");
  {
    OutputFile file = Created(At("model"), options);
    Put(file, "first half, ");
  }
  EXPECT_EQ(Names(), Strings{"model.part"});
  options.resume = true;
  {
    OutputFile file = Created(At("model"), options);
    ASSERT_TRUE(file.WriteAt(12, "second half", 11).ok());
    ASSERT_TRUE(file.Publish().ok());
  }
  EXPECT_EQ(Content(At("model")), "first half, second half");
  EXPECT_EQ(Names(), Strings{"model"});
}

TEST_F(FileTest, ANamedPartIsEmptiedUnlessItIsResumed) {
  OutputFile::Options options;
  options.part_path = Write("model.part", "stale");
  OutputFile file = Created(At("model"), options);
  ASSERT_TRUE(file.Publish().ok());
  EXPECT_EQ(Content(At("model")), "");
}

TEST_F(FileTest, ADiscardedPartIsGone) {
  OutputFile::Options options;
  options.part_path = At("model.part");
  OutputFile file = Created(At("model"), options);
  Put(file, "nothing worth keeping");
  EXPECT_TRUE(file.Discard().ok());
  EXPECT_TRUE(file.Discard().ok());
  EXPECT_EQ(Names(), Strings{});
}

TEST_F(FileTest, AnExistingFileIsKeptWhereReplacingWasNotAllowed) {
  OutputFile::Options options;
  options.replace = false;
  const auto refused = OutputFile::Create(Write("model", "old"), options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kFailure);
  EXPECT_EQ(Names(), Strings{"model"});
  ASSERT_TRUE(Created(At("new"), options).Publish().ok());
  EXPECT_EQ(Names(), (Strings{"model", "new"}));
}

TEST_F(FileTest, AFileThatAppearsMeanwhileIsKeptToo) {
  OutputFile::Options options;
  options.replace = false;
  {
    OutputFile file = Created(At("model"), options);
    Put(file, "ours");
    Write("model", "theirs");
    const Status published = file.Publish();
    ASSERT_FALSE(published.ok());
    EXPECT_EQ(published.error().code, Code::kFailure);
  }
  EXPECT_EQ(Content(At("model")), "theirs");
  EXPECT_EQ(Names(), Strings{"model"}) << "the hidden part is litter";
}

TEST_F(FileTest, APartThatCannotBePublishedIsRemoved) {
  {
    OutputFile file = Created(At("model"));
    ASSERT_EQ(mkdir(At("model").c_str(), 0700), 0);
    EXPECT_FALSE(file.Publish().ok());
  }
  EXPECT_EQ(Names(), Strings{"model"});
}

TEST_F(FileTest, SpaceIsReservedBeforeTheWork) {
  OutputFile::Options options;
  options.expect_bytes = 1 << 20;
  const OutputFile file = Created(At("model"), options);
  EXPECT_EQ(fs::file_size(file.part_path()), 1U << 20);
}

TEST_F(FileTest, MoreThanTheDiskHoldsIsKnownAtOnceAndLeavesNothing) {
  OutputFile::Options options;
  options.expect_bytes = 1ULL << 59;
  const auto file = OutputFile::Create(At("model"), options);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code, Code::kIo);
  EXPECT_FALSE(file.error().hint.empty());
  EXPECT_EQ(Names(), Strings{});
}

TEST_F(FileTest, TheModeIsTheUsualOneOrTheOneAskedFor) {
  const mode_t mask = umask(022);
  ASSERT_TRUE(WriteFileAtomically(At("usual"), "").ok());
  OutputFile::Options options;
  options.mode = 0600;
  ASSERT_TRUE(Created(At("secret"), options).Publish().ok());
  ASSERT_TRUE(WriteFileAtomically(At("copy"), "", At("secret")).ok());
  ASSERT_TRUE(WriteFileAtomically(At("new"), "", At("none")).ok());
  umask(mask);
  EXPECT_EQ(ModeOf(At("usual")), 0644U);
  EXPECT_EQ(ModeOf(At("secret")), 0600U);
  EXPECT_EQ(ModeOf(At("copy")), 0600U);
  EXPECT_EQ(ModeOf(At("new")), 0644U);
}

TEST_F(FileTest, APartIsNeverWrittenThroughALink) {
  Write("precious", "kept");
  fs::create_symlink("precious", root_ / "model.part");
  OutputFile::Options options;
  options.part_path = At("model.part");
  EXPECT_FALSE(OutputFile::Create(At("model"), options).ok());
  EXPECT_EQ(Content(At("precious")), "kept");
}

TEST_F(FileTest, NamesOfTheGreatestLengthWork) {
  const std::string name(255, 'n');
  ASSERT_TRUE(WriteFileAtomically(At(name), "text").ok());
  EXPECT_EQ(Content(At(name)), "text");
}

TEST_F(FileTest, AMissingFolderIsNotFound) {
  const Status status = WriteFileAtomically(At("none/model"), "x");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kNotFound);
}

TEST_F(FileTest, SmallFilesAreReadWholeAndLargeOnesRefused) {
  const std::string bytes("a\0b\n", 4);
  EXPECT_EQ(*ReadSmallFile(Write("a", bytes)), bytes);
  EXPECT_EQ(*ReadSmallFile(Write("empty", "")), "");
  EXPECT_TRUE(ReadSmallFile(At("a"), 4).ok());
  const auto refused = ReadSmallFile(At("a"), 3);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kInvalid);
}

TEST_F(FileTest, PseudoFilesAreReadThoughTheySayTheyAreEmpty) {
  const auto status = ReadPseudoFile("/proc/self/status");
  ASSERT_TRUE(status.ok());
  EXPECT_NE(status->find("VmRSS"), std::string::npos);
  EXPECT_EQ(ReadPseudoFile(At("none")).error().code, Code::kNotFound);
}

TEST_F(FileTest, FoldersAreMadeWithTheirParentsForTheOwnerAlone) {
  ASSERT_TRUE(MakeDirectories(At("a/b/c")).ok());
  EXPECT_TRUE(fs::is_directory(At("a/b/c")));
  EXPECT_EQ(ModeOf(At("a")), 0700U);
  EXPECT_EQ(ModeOf(At("a/b/c")), 0700U);
  EXPECT_TRUE(MakeDirectories(At("a/b/c")).ok()) << "made already";
  EXPECT_TRUE(MakeDirectories(At("d/")).ok());
}

TEST_F(FileTest, AFolderThatCannotBeMadeSaysWhy) {
  EXPECT_EQ(MakeDirectories("").error().code, Code::kUsage);
  Write("file", "");
  EXPECT_EQ(MakeDirectories(At("file")).error().code, Code::kInvalid);
  EXPECT_EQ(MakeDirectories(At("file/below")).error().code, Code::kNotFound);
  EXPECT_FALSE(MakeDirectories("/proc/none/of/this").ok());
}

TEST_F(FileTest, OneFileUnderTwoNamesIsTheSame) {
  Write("a", "text");
  Write("b", "text");
  fs::create_hard_link(root_ / "a", root_ / "hard");
  fs::create_symlink("a", root_ / "soft");
  EXPECT_TRUE(SameFile(At("a"), At("hard")));
  EXPECT_TRUE(SameFile(At("a"), At("soft")));
  EXPECT_TRUE(SameFile(At("a"), At("../" + root_.filename().string() + "/a")));
  EXPECT_FALSE(SameFile(At("a"), At("b")));
  EXPECT_FALSE(SameFile(At("a"), At("none")));
  EXPECT_FALSE(SameFile(At("none"), At("none")));
}

TEST_F(FileTest, TheSystemsErrorsHaveTheFittingCodes) {
  EXPECT_EQ(ErrnoError("open", "/x", ENOENT).code, Code::kNotFound);
  EXPECT_EQ(ErrnoError("open", "/x", ENOTDIR).code, Code::kNotFound);
  EXPECT_EQ(ErrnoError("open", "/x", EACCES).code, Code::kPermission);
  EXPECT_EQ(ErrnoError("open", "/x", EPERM).code, Code::kPermission);
  EXPECT_EQ(ErrnoError("open", "/x", EROFS).code, Code::kPermission);
  EXPECT_EQ(ErrnoError("write", "/x", ENOSPC).code, Code::kIo);
  EXPECT_EQ(ErrnoError("read", "/x", EIO).code, Code::kIo);
  EXPECT_EQ(ErrnoError("open", "/x", ENOENT).what, "cannot open /x: No such file or directory");
  EXPECT_NE(ErrnoError("write", "/x", ENOSPC).hint.find("free some space"), std::string::npos);
}

// Environment variables for one test.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    const char* old = std::getenv(name);
    if (old != nullptr) old_ = old;
    had_ = old != nullptr;
    value != nullptr ? setenv(name, value, 1) : unsetenv(name);
  }
  ~ScopedVariable() { had_ ? setenv(name_, old_.c_str(), 1) : unsetenv(name_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool had_ = false;
};

TEST(DirectoriesTest, FollowTheXdgSpecification) {
  const ScopedVariable home("HOME", "/home/a");
  const ScopedVariable cache("XDG_CACHE_HOME", "/cache");
  const ScopedVariable state("XDG_STATE_HOME", nullptr);
  EXPECT_EQ(HomeDirectory(), "/home/a");
  EXPECT_EQ(CacheDirectory(), "/cache/trimma");
  EXPECT_EQ(StateDirectory(), "/home/a/.local/state/trimma");
}

TEST(DirectoriesTest, RelativePathsAreIgnored) {
  const ScopedVariable home("HOME", "/home/a");
  const ScopedVariable cache("XDG_CACHE_HOME", "cache");
  const ScopedVariable state("XDG_STATE_HOME", "");
  EXPECT_EQ(CacheDirectory(), "/home/a/.cache/trimma");
  EXPECT_EQ(StateDirectory(), "/home/a/.local/state/trimma");
}

TEST(DirectoriesTest, WithoutAHomeThereAreNone) {
  const ScopedVariable cache("XDG_CACHE_HOME", nullptr);
  const ScopedVariable state("XDG_STATE_HOME", nullptr);
  for (const char* home : {static_cast<const char*>(nullptr), "", "relative"}) {
    const ScopedVariable variable("HOME", home);
    EXPECT_EQ(HomeDirectory(), "");
    EXPECT_EQ(CacheDirectory(), "");
    EXPECT_EQ(StateDirectory(), "");
  }
}

}  // namespace
}  // namespace trimma::file_test
