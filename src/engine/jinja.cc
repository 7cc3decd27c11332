#include "engine/jinja.h"

#include <jinja/lexer.h>
#include <jinja/parser.h>
#include <jinja/runtime.h>
#include <jinja/value.h>
#include <json.h>

#include "base/text.h"

namespace trimma {

Result<std::string> RenderJinja(const std::string& source, const Json& input) {
  try {
    jinja::lexer lexer;
    const jinja::program program = jinja::parse_from_tokens(lexer.tokenize(source));
    jinja::context context(source);
    const std::string text = input.dump(-1, ' ', false, Json::error_handler_t::replace);
    jinja::global_from_json(context, common_json::parse(text), /*mark_input=*/false);
    jinja::runtime runtime(context);
    const jinja::value result = runtime.execute(program);
    return jinja::runtime::gather_string_parts(result)->as_string().str();
  } catch (const std::exception& e) {
    return Error{Code::kInvalid, "the template can't be run: " + SafeText(e.what(), 300), ""};
  }
}

}  // namespace trimma
