// A model as Ollama stores it (a gemma3 with its vision encoder inline), from its header to a new
// model in a real Ollama.
#include <gtest/gtest.h>
#include <mtmd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "base/file.h"
#include "engine/ghost.h"
#include "engine/projector.h"
#include "gguf/view_file.h"
#include "hardware/temp_tree.h"
#include "models/engine_view.h"
#include "plan/file_hash.h"
#include "support/ollama_server.h"
#include "support/program.h"
#include "support/stored_model.h"

namespace trimma::stored_model_cli_test {
namespace {

namespace fs = std::filesystem;

class StoredModelCli : public testing::Test {
 protected:
  void SetUp() override {
    blob_ = WriteOllamaStore(box_ / "store", "seeing", Assemble(StoredGemma3()));
    options_.environment["OLLAMA_MODELS"] = box_ / "store";
  }

  Json Document(std::vector<std::string> call) {
    return ExpectDocument(box_, std::move(call), options_);
  }
  // One view's file in the cache; "" if there is none.
  std::string CachedView() const {
    std::string found;
    for (const auto& entry : fs::recursive_directory_iterator(box_.home())) {
      if (entry.path().parent_path().filename() == "views") found = entry.path().string();
    }
    return found;
  }

  Sandbox box_;
  RunOptions options_;
  std::string blob_;
};

bool Mentions(const Json& notes, const std::string& words) {
  return std::any_of(notes.begin(), notes.end(), [&](const Json& note) {
    return note.get<std::string>().find(words) != std::string::npos;
  });
}

std::string BytesOf(const std::string& path, const TensorInfo& tensor) {
  const auto file = InputFile::Open(path);
  std::string bytes(tensor.bytes, '\0');
  EXPECT_TRUE(file.ok() && file->ReadAt(tensor.offset, bytes.data(), bytes.size()).ok());
  return bytes;
}

TEST_F(StoredModelCli, ItsHeaderIsEnoughToInspectAndPlan) {
  const Json inspect = Document({"inspect", "ollama:seeing"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(inspect["file_bytes"], fs::file_size(blob_));
  EXPECT_TRUE(Mentions(inspect["read_as"]["changes"], "vision encoder left out"));
  EXPECT_GT(inspect["read_as"]["projector_bytes"], 0);
  EXPECT_LT(inspect["read_as"]["parameters"], inspect["parameters"]);
  const ProgramEnd text = box_.Run({"inspect", "ollama:seeing"}, options_);
  EXPECT_NE(text.out.find("read as "), std::string::npos) << text.out;

  const std::vector<std::string> plan = {"plan",    "ollama:seeing", "--gpu",     "none",
                                         "--types", "Q8_0",          "--context", "256"};
  const Json with = Document(plan);
  ASSERT_FALSE(HasFailure());
  EXPECT_TRUE(Mentions(with["notes"], "read as: "));
  EXPECT_GT(with["cells"][0]["devices"][0]["projector_bytes"], 0);
  std::vector<std::string> call = plan;
  call.insert(call.end(), {"--mmproj", "none"});
  EXPECT_EQ(Document(call)["cells"][0]["devices"][0]["projector_bytes"], 0);
  EXPECT_EQ(CachedView(), "") << "nothing is written to know this";
  const Json models = Document({"models"});
  EXPECT_EQ(models["items"][0]["has_projector"], true);
}

TEST_F(StoredModelCli, ItIsMeasuredByACopyThatIsMadeOnce) {
  const std::vector<std::string> call = {"measure", "ollama:seeing", "--speed", "--rounds",
                                         "3",       "--json"};
  const ProgramEnd first = box_.Run(call, options_);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_NE(first.err.find("writing the text-only copy"), std::string::npos) << first.err;
  EXPECT_EQ(first.document()["model"], blob_);
  const std::string view = CachedView();
  ASSERT_NE(view, "");
  const auto text = ReadGguf(view);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->FindTensor("v.patch_embedding.weight"), nullptr);
  const ProgramEnd second = box_.Run(call, options_);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(second.err.find("writing"), std::string::npos) << second.err;
}

TEST_F(StoredModelCli, QuantisingKeepsTheEncoderByteForByte) {
  const Json early =
      Document({"quantize", "ollama:seeing", "-o", "x.gguf", "--type", "Q8_0", "--dry-run"});
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(CachedView(), "") << "a dry run writes nothing";
  const Json made = Document({"quantize", "ollama:seeing", "-o", "q8.gguf", "--type", "Q8_0"});
  ASSERT_FALSE(HasFailure());
  const auto before = ReadGguf(blob_);
  const auto after = ReadGguf(box_ / "q8.gguf");
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(made["file_bytes"], after->file_bytes);
  ASSERT_EQ(before->tensors.size(), after->tensors.size());
  for (size_t i = 0; i < before->tensors.size(); ++i) {
    const TensorInfo& was = before->tensors[i];
    const TensorInfo& is = after->tensors[i];
    EXPECT_EQ(was.name, is.name);
    if (was.name.starts_with("v.") || was.name.starts_with("mm.")) {
      EXPECT_EQ(was.type, is.type);
      EXPECT_EQ(BytesOf(blob_, was), BytesOf(box_ / "q8.gguf", is)) << was.name;
    } else if (was.shape.size() == 2) {
      EXPECT_EQ(is.type, tensor_type::kQ8_0) << was.name;
    }
  }
  for (const auto& [key, value] : before->metadata.entries()) {
    if (key == "general.file_type") continue;
    EXPECT_EQ(*after->metadata.Find(key), value) << key;
  }
  for (const auto& [key, value] : after->metadata.entries())
    EXPECT_FALSE(key.starts_with("trimma.view.")) << key;
  const Json dry =
      Document({"quantize", "ollama:seeing", "-o", "x.gguf", "--type", "Q8_0", "--dry-run"});
  EXPECT_EQ(dry["file_bytes"], made["file_bytes"]);
  EXPECT_EQ(early["file_bytes"], made["file_bytes"]);
  EXPECT_EQ(early["tensors"], dry["tensors"]);
  EXPECT_EQ(dry["tensors"].size(), made["tensors"].size());
  // A size is of the whole file.
  const auto room = after->file_bytes;
  Document({"quantize", "ollama:seeing", "-o", "sized.gguf", "--size", std::to_string(room),
            "--mode", "plain", "--generate", "0.5"});
  EXPECT_LE(fs::file_size(box_ / "sized.gguf"), room);

  Document({"quantize", "ollama:seeing", "-o", "text.gguf", "--type", "Q8_0", "--text-only"});
  const auto text = ReadGguf(box_ / "text.gguf");
  ASSERT_TRUE(text.ok());
  const auto view = EngineViewOf(*text);
  EXPECT_TRUE(view.ok() && !view->has_value()) << "llama.cpp reads it as it is";
  EXPECT_TRUE(Model::Load(*text, {}).ok());
  for (const auto& entry : fs::directory_iterator(box_ / ".")) {
    EXPECT_EQ(entry.path().string().find(".trimma-"), std::string::npos) << entry.path();
  }
}

TEST_F(StoredModelCli, ADryRunNeedsNoCopy) {
  const auto room = std::to_string(fs::file_size(blob_) * 6 / 10);
  const std::vector<std::string> start = {"quantize", "ollama:seeing", "-o", "x.gguf", "--dry-run"};
  const std::vector<std::vector<std::string>> wishes = {
      {"--size", room}, {"--bpw", "6", "--generate", "0.5"}, {"--type", "Q8_0", "--mode", "full"}};
  const auto before = box_.Snapshot();
  std::vector<Json> without;
  for (std::vector<std::string> call : wishes) {
    call.insert(call.begin(), start.begin(), start.end());
    without.push_back(Document(call));
    ASSERT_FALSE(HasFailure()) << call[5];
    EXPECT_GT(without.back()["inputs"]["all"], 0) << call[5];
    EXPECT_EQ(CachedView(), "") << call[5];
  }
  EXPECT_EQ(box_.Snapshot(), before) << "nothing at all is written";
  std::vector<std::string> fit = start;
  fit.insert(fit.end(), {"--fit", "--gpu", "none", "--context", "256"});
  ExpectRefused(box_, fit, Code::kUsage, "fits there as it is", options_);
  // The same is said where the copy is there.
  Document({"measure", "ollama:seeing", "--speed", "--rounds", "3"});
  ASSERT_NE(CachedView(), "");
  for (size_t i = 0; i < wishes.size(); ++i) {
    std::vector<std::string> call = wishes[i];
    call.insert(call.begin(), start.begin(), start.end());
    EXPECT_EQ(Document(call), without[i]) << wishes[i][0];
  }
}

TEST_F(StoredModelCli, QuietMeansThatNothingIsSaidOfTheCopy) {
  const ProgramEnd end =
      box_.Run({"measure", "ollama:seeing", "--speed", "--rounds", "3", "--quiet"}, options_);
  ASSERT_EQ(end.exit_code, 0) << end.err;
  EXPECT_EQ(end.err, "");
  EXPECT_NE(CachedView(), "");
}

TEST_F(StoredModelCli, OptimizeEndsWithFilesForBothAndARealOllamaLoadsThem) {
  const Json result =
      Document({"optimize", "ollama:seeing", "-o", "result", "--seconds", "2", "--max-kld", "100"});
  ASSERT_FALSE(HasFailure());
  const std::string for_ollama = result["files"]["ollama_model"];
  const std::string projector = result["files"]["projector"];
  EXPECT_TRUE(for_ollama.ends_with("-ollama.gguf")) << for_ollama;
  EXPECT_NE(box_.Read("result/Modelfile").find("FROM " + for_ollama + "\n"), std::string::npos);
  const std::string preset = box_.Read("result/llama-server.ini");
  EXPECT_NE(preset.find(result["files"]["model"].get<std::string>()), std::string::npos) << preset;
  EXPECT_NE(preset.find(projector), std::string::npos) << preset;
  const auto mmproj = ReadGguf(projector);
  ASSERT_TRUE(mmproj.ok()) << projector;
  EXPECT_TRUE(PriceProjector(*mmproj, {std::vector<ggml_backend_device*>{}}).ok());
  EXPECT_TRUE(Mentions(result["notes"], "read as: "));

  if (OllamaProgram().empty()) GTEST_SKIP() << "there is no ollama (TRIMMA_TEST_OLLAMA)";
  const auto server = OllamaServer::Start();
  ASSERT_NE(server, nullptr);
  OllamaClient client = server->Client();
  for (const auto& [name, path] :
       {std::pair<std::string, std::string>{"before", blob_}, {"after", for_ollama}}) {
    const std::string digest = "sha256:" + *HashFile(*InputFile::Open(path));
    ASSERT_TRUE(client.Upload(digest, path, {}).ok());
    OllamaCreate create;
    create.name = name;
    create.file_digests = {digest};
    create.parameters = {{"num_ctx", 256}, {"num_thread", 1}};
    const Status made = client.Create(create, {});
    ASSERT_TRUE(made.ok()) << made.error().what;
    const auto shown = client.Show(name);
    ASSERT_TRUE(shown.ok());
    EXPECT_TRUE(Mentions(shown->capabilities, "vision"));
    OllamaPrompt prompt;
    prompt.model = name;
    prompt.text = "hello";
    prompt.options = {{"num_predict", 4}};
    const auto answer = client.Generate(prompt, {});
    ASSERT_TRUE(answer.ok()) << answer.error().what;
    EXPECT_EQ(answer->answer_tokens, 4);
  }
}

TEST_F(StoredModelCli, InARealOllamaTheOriginalStaysAndTheNewModelSeesAsItDid) {
  if (OllamaProgram().empty()) GTEST_SKIP() << "there is no ollama (TRIMMA_TEST_OLLAMA)";
  const auto server = OllamaServer::Start();
  ASSERT_NE(server, nullptr);
  OllamaClient client = server->Client();
  const std::string digest = "sha256:" + *HashFile(*InputFile::Open(blob_));
  ASSERT_TRUE(client.Upload(digest, blob_, {}).ok());
  OllamaCreate create;
  create.name = "sees:1b";
  create.file_digests = {digest};
  create.chat_template = "<q>{{ .Prompt }}<a>";
  create.parameters = {{"num_ctx", 256}, {"num_thread", 1}};
  const Status made = client.Create(create, {});
  ASSERT_TRUE(made.ok()) << made.error().what;
  options_.environment = {{"OLLAMA_HOST", server->host()}, {"OLLAMA_MODELS", server->models()}};
  const auto before = client.FindTag("sees:1b");
  const auto shown_before = client.Show("sees:1b");
  ASSERT_TRUE(before.ok() && before->has_value() && shown_before.ok());
  const auto blob = [&](std::string name) {
    return server->models() + "/blobs/" + name.replace(name.find(':'), 1, "-");
  };

  const Json result = Document(
      {"optimize", "ollama:sees:1b", "-o", "result", "--seconds", "2", "--max-kld", "100"});
  ASSERT_FALSE(HasFailure()) << server->Log();
  const auto tags = client.Tags();
  ASSERT_TRUE(tags.ok());
  ASSERT_EQ(tags->size(), 2U) << "the original, and one more";
  const std::string name = tags->at(0).name == "sees:1b" ? tags->at(1).name : tags->at(0).name;
  EXPECT_TRUE(name.starts_with("sees-trimma:")) << name;

  EXPECT_EQ((*client.FindTag("sees:1b"))->digest, (*before)->digest);
  EXPECT_EQ("sha256:" + *HashFile(*InputFile::Open(blob(digest))), digest);
  const auto shown = client.Show(name);
  ASSERT_TRUE(shown.ok());
  EXPECT_NE(shown->weights_digest, digest) << "it was quantised";
  EXPECT_EQ(shown->chat_template, shown_before->chat_template);
  EXPECT_EQ(shown->capabilities, shown_before->capabilities);
  EXPECT_TRUE(Mentions(shown->capabilities, "vision"));
  const auto was = ReadGguf(blob(digest));
  const auto is = ReadGguf(blob(shown->weights_digest));
  ASSERT_TRUE(was.ok() && is.ok());
  ASSERT_EQ(was->tensors.size(), is->tensors.size());
  EXPECT_LT(is->file_bytes, was->file_bytes);
  size_t encoder = 0;
  for (size_t i = 0; i < was->tensors.size(); ++i) {
    const TensorInfo& then = was->tensors[i];
    const TensorInfo& now = is->tensors[i];
    ASSERT_EQ(then.name, now.name);
    if (!then.name.starts_with("v.") && !then.name.starts_with("mm.")) continue;
    ++encoder;
    ASSERT_EQ(then.type, now.type) << then.name;
    EXPECT_EQ(BytesOf(was->paths[0], then), BytesOf(is->paths[0], now)) << then.name;
  }
  EXPECT_GT(encoder, 0U);
  const auto answer = client.Chat({name, {{"user", "hello"}}, Json{{"num_predict", 4}}, {}}, {});
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  EXPECT_EQ(answer->answer_tokens, 4);
  ExpectDocument(box_, {"apply", "--undo"}, options_);
  EXPECT_EQ(client.Tags()->size(), 1U);
  EXPECT_EQ((*client.FindTag("sees:1b"))->digest, (*before)->digest);
}

// The engine itself says that a view is what it reads, and the stored file is not.
TEST(EngineViewOfTheEngine, LoadsEveryTextViewAndPricesItsProjector) {
  const TempTree tree;
  for (const std::string architecture :
       {"gemma3", "gemma3n", "gptoss", "mistral3", "qwen25vl", "qwen3vl", "llama4"}) {
    SCOPED_TRACE(architecture);
    const GgufFile stored =
        HeaderOf(architecture == "gemma3" ? StoredGemma3() : StoredShape(architecture));
    EXPECT_FALSE(LoadGhost(stored, {}).ok());
    const auto view = EngineViewOf(stored);
    ASSERT_TRUE(view.ok() && view->has_value());
    const auto text = HeaderOf((*view)->text);
    ASSERT_TRUE(text.ok());
    const auto ghost = LoadGhost(*text, {});
    EXPECT_TRUE(ghost.ok()) << ghost.error().what;
    if (!HoldsProjector(stored)) continue;
    ASSERT_TRUE((*view)->projector.has_value()) << (*view)->no_projector;
    const auto projector = HeaderOf(*(*view)->projector);
    ASSERT_TRUE(projector.ok());
    const auto price = PriceProjector(*projector, {std::vector<ggml_backend_device*>{}});
    EXPECT_TRUE(price.ok()) << price.error().what;
  }
}

// What the clip loader makes of a picture by a view's projector, with the text view's model.
class Sight {
 public:
  static std::unique_ptr<Sight> Open(const std::string& projector, const Model& model) {
    mtmd_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    mtmd_context_params params = mtmd_context_params_default();
    params.use_gpu = false;
    params.n_threads = 1;
    params.print_timings = params.warmup = false;
    mtmd_context* context = mtmd_init_from_file(projector.c_str(), model.get(), params);
    return context == nullptr ? nullptr : std::unique_ptr<Sight>(new Sight(context));
  }
  ~Sight() {
    mtmd_input_chunks_free(chunks_);
    mtmd_free(context_);
  }
  // Tokens that a grey picture becomes; 0 where it can't be encoded, or to no numbers.
  size_t See(int width) {
    std::vector<unsigned char> grey(size_t{3} * width * width, 128);
    mtmd_bitmap* bitmap = mtmd_bitmap_init(width, width, grey.data());
    const std::string text = mtmd_default_marker();
    const mtmd_input_text input{text.c_str(), text.size(), false, true};
    const mtmd_bitmap* bitmaps[] = {bitmap};
    const int failed = mtmd_tokenize(context_, chunks_, &input, bitmaps, 1);
    mtmd_bitmap_free(bitmap);
    if (failed != 0) return 0;
    size_t tokens = 0;
    for (size_t i = 0; i < mtmd_input_chunks_size(chunks_); ++i) {
      const mtmd_input_chunk* chunk = mtmd_input_chunks_get(chunks_, i);
      if (mtmd_input_chunk_get_type(chunk) != MTMD_INPUT_CHUNK_TYPE_IMAGE) continue;
      if (mtmd_encode_chunk(context_, chunk) != 0) return 0;
      if (!std::isfinite(*mtmd_get_output_embd(context_))) return 0;
      tokens += mtmd_input_chunk_get_n_tokens(chunk);
    }
    return tokens;
  }

 private:
  explicit Sight(mtmd_context* context) : context_(context), chunks_(mtmd_input_chunks_init()) {}
  mtmd_context* context_;
  mtmd_input_chunks* chunks_;
};

TEST(EngineViewOfTheEngine, SeesThroughEveryProjectorView) {
  const TempTree tree;
  for (const std::string architecture : {"gemma3", "mistral3", "qwen25vl", "qwen3vl", "llama4"}) {
    SCOPED_TRACE(architecture);
    TinyModel model = architecture == "gemma3" ? StoredGemma3() : StoredShape(architecture);
    if (model.data.empty()) {
      const auto layout = LayOutGguf(model.metadata, model.tensors);
      ASSERT_TRUE(layout.ok());
      for (const uint64_t bytes : layout->sizes) model.data.emplace_back(bytes, '\0');
    }
    tree.Write("stored.gguf", Assemble(model));
    const auto stored = ReadGguf(tree / "stored.gguf");
    ASSERT_TRUE(stored.ok()) << stored.error().what;
    const auto view = EngineViewOf(*stored);
    ASSERT_TRUE(view.ok() && view->has_value() && (*view)->projector);
    ASSERT_TRUE(WriteView((*view)->text, tree / "text.gguf").ok());
    ASSERT_TRUE(WriteView(*(*view)->projector, tree / "mmproj.gguf").ok());
    const auto text = Model::Load(tree / "text.gguf", {});
    ASSERT_TRUE(text.ok()) << text.error().what;
    const auto sight = Sight::Open(tree / "mmproj.gguf", *text);
    ASSERT_NE(sight, nullptr);
    EXPECT_GT(sight->See(112), 0U);
  }
}

}  // namespace
}  // namespace trimma::stored_model_cli_test
