#include "engine/device_sums.h"

#include <fmt/format.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml.h>

#include <algorithm>
#include <optional>

#include "engine/engine.h"

namespace trimma {
namespace {

// The ways to say X^T X, the preferred first. Not every backend has outer products, and some want
// their operands packed. Products of floats are the last: they may be computed in half precision.
enum class Form { kOuterOfViews, kOuterOfCopies, kProductOfTransposed };
constexpr Form kForms[] = {Form::kOuterOfViews, Form::kOuterOfCopies, Form::kProductOfTransposed};

constexpr size_t kNodes = 16;

ggml_context_ptr Nodes(size_t tensors) {
  return ggml_context_ptr(ggml_init(
      {.mem_size = tensors * ggml_tensor_overhead() + ggml_graph_overhead_custom(kNodes, false),
       .mem_buffer = nullptr,
       .no_alloc = true}));
}

// [block, block, blocks] from x [n, tokens]; x may have more dimensions and strides.
ggml_tensor* Product(ggml_context* context, ggml_tensor* x, int64_t block, Form form) {
  if (!ggml_is_contiguous(x)) x = ggml_cont(context, x);
  const auto step = static_cast<size_t>(block) * sizeof(float);
  ggml_tensor* blocks = ggml_view_3d(context, x, block, ggml_nrows(x), x->ne[0] / block, x->nb[1],
                                     step, /*offset=*/0);
  if (form == Form::kProductOfTransposed) {
    ggml_tensor* columns = ggml_cont(context, ggml_transpose(context, blocks));
    ggml_tensor* product = ggml_mul_mat(context, columns, columns);
    (void)ggml_prec_set_acc(product, GGML_PREC_F32);
    for (const int operand : {0, 1}) (void)ggml_prec_set_src(product, GGML_PREC_F32, operand);
    return product;
  }
  if (form == Form::kOuterOfCopies) blocks = ggml_cont(context, blocks);
  return ggml_out_prod(context, blocks, blocks);
}

// The nodes that add the moment of x to the sums.
ggml_cgraph* Adding(ggml_context* context, ggml_tensor* x, ggml_tensor* sums, Form form) {
  ggml_cgraph* graph = ggml_new_graph_custom(context, kNodes, /*grads=*/false);
  ggml_build_forward_expand(
      graph, ggml_add_inplace(context, sums, Product(context, x, sums->ne[0], form)));
  return graph;
}

ggml_tensor* NewSums(ggml_context* context, const SumShape& shape) {
  const auto block = static_cast<int64_t>(shape.block);
  return ggml_new_tensor_3d(context, GGML_TYPE_F32, block, block,
                            static_cast<int64_t>(shape.n) / block);
}

std::optional<Form> FormFor(ggml_backend_dev_t device, const SumShape& shape, uint64_t tokens) {
  for (const Form form : kForms) {
    const ggml_context_ptr context = Nodes(kNodes);
    ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, static_cast<int64_t>(shape.n),
                                        static_cast<int64_t>(tokens));
    ggml_cgraph* graph = Adding(context.get(), x, NewSums(context.get(), shape), form);
    bool supported = true;
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i)
      supported = supported && ggml_backend_dev_supports_op(device, ggml_graph_node(graph, i));
    if (supported) return form;
  }
  return std::nullopt;
}

// The same values as a leaf of another graph.
ggml_tensor* Alias(ggml_context* context, const ggml_tensor* input) {
  ggml_tensor* x = ggml_new_tensor(context, GGML_TYPE_F32, GGML_MAX_DIMS, input->ne);
  std::copy(std::begin(input->nb), std::end(input->nb), std::begin(x->nb));
  CHECK(ggml_backend_tensor_alloc(input->buffer, x, input->data) == GGML_STATUS_SUCCESS);
  return x;
}

}  // namespace

ggml_backend_device* DeviceOf(const ggml_tensor* input) {
  if (ggml_backend_buffer_is_host(input->buffer)) return nullptr;
  return ggml_backend_buft_get_device(ggml_backend_buffer_get_type(input->buffer));
}

std::string NameOf(ggml_backend_device* device) { return ggml_backend_dev_name(device); }

uint64_t FreeBytesOf(ggml_backend_device* device) {
  size_t free = 0;
  size_t total = 0;
  ggml_backend_dev_memory(device, &free, &total);
  return free;
}

uint64_t WidthOf(const ggml_tensor* input) { return static_cast<uint64_t>(input->ne[0]); }

struct DeviceSums::Parts {
  ggml_backend_dev_t device;
  ggml_backend_ptr backend;  // of our own: the engine's is in the middle of its graph
  ggml_context_ptr context;
  ggml_backend_buffer_ptr buffer;  // of the sums
  ggml_gallocr_ptr products;
  struct Sum {
    ggml_tensor* tensor;
    Form form;
  };
  std::map<std::string, Sum> sums;
};

DeviceSums::DeviceSums(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
DeviceSums::DeviceSums(DeviceSums&&) noexcept = default;
DeviceSums::~DeviceSums() = default;

bool DeviceSums::CanSum(ggml_backend_device* device, const SumShape& shape, uint64_t tokens) {
  return FormFor(device, shape, tokens).has_value();
}

Result<DeviceSums> DeviceSums::Create(ggml_backend_device* device,
                                      const std::vector<SumShape>& shapes, uint64_t tokens) {
  const auto refusal = [&](Code code, const char* what) {
    (void)TakeEngineWords();
    return Error{code, fmt::format("{} {}", NameOf(device), what),
                 "something else may be using the card; run the same command again"};
  };
  auto parts = std::make_unique<Parts>();
  parts->device = device;
  parts->backend.reset(ggml_backend_dev_init(device, nullptr));
  if (!parts->backend) return refusal(Code::kFailure, "can't be used");
  parts->context = Nodes(shapes.size());
  for (const SumShape& shape : shapes) {
    const auto form = FormFor(device, shape, tokens);
    CHECK(form.has_value());
    parts->sums[shape.reader] = {NewSums(parts->context.get(), shape), *form};
  }
  ggml_backend_buffer_type_t memory = ggml_backend_dev_buffer_type(device);
  parts->buffer.reset(ggml_backend_alloc_ctx_tensors_from_buft(parts->context.get(), memory));
  if (!parts->buffer) return refusal(Code::kNoFit, "has too little memory left for second moments");
  parts->products.reset(ggml_gallocr_new(memory));
  for (const SumShape& shape : shapes) {
    const ggml_context_ptr context = Nodes(kNodes);
    ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, static_cast<int64_t>(shape.n),
                                        static_cast<int64_t>(tokens));
    const Parts::Sum& sum = parts->sums.at(shape.reader);
    if (!ggml_gallocr_reserve(parts->products.get(),
                              Adding(context.get(), x, sum.tensor, sum.form)))
      return refusal(Code::kNoFit, "has too little memory left for products of inputs");
  }
  DeviceSums made(std::move(parts));
  made.Clear();
  return made;
}

Status DeviceSums::Add(const std::string& reader, const ggml_tensor* input) {
  CHECK(input->type == GGML_TYPE_F32);
  const Parts::Sum& sum = parts_->sums.at(reader);
  CHECK(input->ne[0] == sum.tensor->ne[0] * sum.tensor->ne[2]);
  const ggml_context_ptr context = Nodes(kNodes);
  ggml_cgraph* graph = Adding(context.get(), Alias(context.get(), input), sum.tensor, sum.form);
  if (!ggml_gallocr_alloc_graph(parts_->products.get(), graph) ||
      ggml_backend_graph_compute(parts_->backend.get(), graph) != GGML_STATUS_SUCCESS) {
    const std::string words = TakeEngineWords().said;
    return Error{Code::kFailure,
                 fmt::format("{} can't sum up the second moments of {}'s inputs{}{}",
                             NameOf(parts_->device), reader, words.empty() ? "" : ": ", words),
                 "something else may be using the card; run the same command again"};
  }
  return {};
}

void DeviceSums::Read(const std::string& reader, uint64_t first, uint64_t count, float* to) const {
  ggml_backend_tensor_get(parts_->sums.at(reader).tensor, to, first * sizeof(float),
                          count * sizeof(float));
}

void DeviceSums::Clear() { ggml_backend_buffer_clear(parts_->buffer.get(), 0); }

}  // namespace trimma
